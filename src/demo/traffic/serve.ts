/** The other end of `ping` and `tcp`: a UDP echo, and a TCP sink that says how much it received. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export type ServeOptions = { readonly echoPort: number; readonly sinkPort: number; readonly seconds: number };

export type ServeResult = {
  readonly echoed: number;
  readonly connections: number;
  readonly receivedBytes: number;
};

/** What the sink answers when its peer has sent everything. */
export type SinkAnswer = { readonly bytes: number };

/** Serves until `seconds` have passed or the signal is aborted; calls `onReady` when both ports listen. */
export async function serve(
  options: ServeOptions,
  onReady: (ready: object) => void,
  signal: AbortSignal,
): Promise<ServeResult> {
  let echoed = 0;
  let connections = 0;
  let receivedBytes = 0;
  const open = new Set<Socket>();

  const echo = await bindUdp(options.echoPort);
  echo.on('message', (message, from) => {
    echoed++;
    // A reply that cannot be sent is a lost reply; the other end counts it.
    echo.send(message, from.port, from.address, () => undefined);
  });

  const sink = createServer({ allowHalfOpen: true }, (socket) => {
    connections++;
    open.add(socket);
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.byteLength;
      receivedBytes += chunk.byteLength;
    });
    socket.on('end', () => {
      const answer: SinkAnswer = { bytes };
      socket.end(`${JSON.stringify(answer)}\n`);
    });
    // A peer that resets its connection ends that connection and nothing else.
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
  });

  try {
    sink.listen(options.sinkPort);
    await once(sink, 'listening');
    onReady({ listening: { echoPort: options.echoPort, sinkPort: options.sinkPort } });
    await sleep(options.seconds * 1000, undefined, { signal }).catch(() => undefined);
  } finally {
    echo.close();
    sink.close();
    for (const socket of open) socket.destroy();
  }
  return { echoed, connections, receivedBytes };
}

/** A UDP socket for both families, or for IPv4 where the system has no IPv6, as net.Server.listen does it for TCP. */
async function bindUdp(port: number): Promise<UdpSocket> {
  try {
    return await bindUdpFamily('udp6', port, '::');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EAFNOSUPPORT')) throw error;
    return bindUdpFamily('udp4', port, '0.0.0.0');
  }
}

async function bindUdpFamily(type: 'udp4' | 'udp6', port: number, address: string): Promise<UdpSocket> {
  const socket = createSocket({ type, ipv6Only: false });
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}
