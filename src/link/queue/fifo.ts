/** First in, first out: `droptail` refuses a frame that does not fit, `drophead` makes room at the front for it. */
import type { StageContext } from '../stage.ts';
import { type Backlog, FrameList, NONE, type Queue } from './queue.ts';

export class Fifo implements Queue {
  protected readonly list: FrameList;
  protected readonly backlog: Backlog;
  protected readonly context: StageContext;

  constructor(context: StageContext, backlog: Backlog) {
    this.context = context;
    this.backlog = backlog;
    this.list = new FrameList(context.frames);
  }

  enqueue(frame: number, nowNs: number): void {
    if (!this.backlog.fits(frame)) {
      this.context.drop(frame, 'queue');
      return;
    }
    this.backlog.add(frame, nowNs);
    this.list.append(frame);
  }

  dequeue(_nowNs: number): number {
    return this.list.shift();
  }

  put(frame: number): void {
    this.list.append(frame);
  }

  take(): number {
    return this.list.shift();
  }
}

export class DropHead extends Fifo {
  override enqueue(frame: number, nowNs: number): void {
    while (!this.backlog.fits(frame) && this.list.head !== NONE)
      this.backlog.discard(this.list.shift(), 'queue');
    super.enqueue(frame, nowNs);
  }
}
