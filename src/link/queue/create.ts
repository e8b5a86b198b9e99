/** Makes the queue that settings describe. */
import type { StageContext } from '../stage.ts';
import { DrrQueue, PrioQueue } from './classes.ts';
import { CodelQueue } from './codel.ts';
import { DropHead, Fifo } from './fifo.ts';
import { FqCodelQueue } from './fq-codel.ts';
import { PieQueue } from './pie.ts';
import type { Backlog, Queue } from './queue.ts';
import { RedQueue } from './red.ts';
import type { QueueSettings } from './words.ts';

/** Throws FilterSyntaxError for a class whose filter does not fit the link type. */
export function createQueue(settings: QueueSettings, context: StageContext, backlog: Backlog): Queue {
  switch (settings.discipline) {
    case 'droptail':
      return new Fifo(context, backlog);
    case 'drophead':
      return new DropHead(context, backlog);
    case 'red':
      return new RedQueue(context, backlog, settings);
    case 'codel':
      return new CodelQueue(context, backlog, settings);
    case 'fq_codel':
      return new FqCodelQueue(context, backlog, settings);
    case 'pie':
      return new PieQueue(context, backlog, settings);
    case 'prio':
      return new PrioQueue(context, backlog, settings);
    case 'drr':
      return new DrrQueue(context, backlog, settings);
  }
}
