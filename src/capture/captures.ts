/** The captures of a daemon: one for each descriptor somebody reads, forgotten when the descriptor is closed. */
import type { DescriptorHandle } from '../bpf/types.ts';
import { Capture } from './capture.ts';

export class Captures {
  readonly #application: string;
  readonly #linkOf: (interfaceName: string) => string | undefined;
  readonly #captures = new Map<DescriptorHandle, Capture>();

  /**
   * @param application goes into every pcapng section header, for example `taplab 0.1.0`
   * @param linkOf the name of the link that carries the frames of an interface
   */
  constructor(application: string, linkOf: (interfaceName: string) => string | undefined = () => undefined) {
    this.#application = application;
    this.#linkOf = linkOf;
  }

  /** The capture of a descriptor, made on first use. */
  of(handle: DescriptorHandle): Capture {
    let capture = this.#captures.get(handle);
    if (capture === undefined) {
      capture = new Capture(handle, this.#application, this.#linkOf(handle.interface));
      this.#captures.set(handle, capture);
      void this.#forget(handle, capture);
    }
    return capture;
  }

  /** Resolves when every capture file that was begun is complete. Close the descriptors first. */
  async filesClosed(): Promise<void> {
    await Promise.all([...this.#captures.values()].map((capture) => capture.filesClosed()));
  }

  async #forget(handle: DescriptorHandle, capture: Capture): Promise<void> {
    await handle.closed;
    await capture.filesClosed();
    this.#captures.delete(handle);
  }
}
