/**
 * The part of the WebAssembly JavaScript interface (W3C) that this project uses. Node's types leave it to the DOM
 * library, which would bring a browser's globals into every file.
 */
declare namespace WebAssembly {
  /** A memory that threads share. */
  interface Memory {
    readonly buffer: SharedArrayBuffer;
  }
  /** A memory of one thread; growing it detaches the buffer and makes another. */
  interface UnsharedMemory {
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  const Memory: {
    new (descriptor: { initial: number; maximum: number; shared: true }): Memory;
    new (descriptor: { initial: number; maximum?: number }): UnsharedMemory;
  };
  class Module {
    constructor(bytes: BufferSource);
  }
  function compile(bytes: BufferSource): Promise<Module>;
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
    readonly exports: Record<string, unknown>;
  }
  type BufferSource = ArrayBufferView | ArrayBuffer;
}
