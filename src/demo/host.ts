/**
 * A small scripted IPv4 host for memory devices: it answers ARP and ICMP echo, pings, and moves bytes over TCP, all on
 * a clock that is passed in. With it a lab without /dev/net/tun shows the traffic of one with real nodes, in virtual
 * time and the same in every run.
 *
 *   device ── receive() ──▶ Ethernet ─┬─ ARP ── Neighbours
 *                                     └─ IPv4 ─┬─ ICMP echo ── Pinger, replies
 *   device ◀── send() ─────────────────────────┴─ TCP ── TcpSender, TcpReceiver
 *
 * One subnet, no routes, no fragments, no options but TCP's maximum segment size.
 */
import { Neighbours } from './host/neighbours.ts';
import { Pinger, type PingOptions, type PingStats } from './host/pinger.ts';
import { type SinkStats, TcpReceiver } from './host/tcp-receiver.ts';
import { TcpSender, type TransferStats } from './host/tcp-sender.ts';
import { BROADCAST_MAC, type Ipv4Address, type MacAddress, parseIpv4, parseMac } from './wire/address.ts';
import { ARP_REPLY, ARP_REQUEST, type ArpPacket, emitArp, parseArp } from './wire/arp.ts';
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, emitEthernet, parseEthernet } from './wire/ethernet.ts';
import {
  emitIcmpEcho,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  type IcmpEcho,
  parseIcmpEcho,
} from './wire/icmp.ts';
import {
  emitIpv4Packet,
  IPV4_HEADER,
  type Ipv4Packet,
  PROTOCOL_ICMP,
  PROTOCOL_TCP,
  parseIpv4Packet,
} from './wire/ipv4.ts';
import { emitTcp, parseTcp, TCP_ACK, TCP_HEADER, TCP_RST, TCP_SYN, type TcpSegment } from './wire/tcp.ts';

/** Time, real or virtual. */
export type HostClock = {
  nowNs(): number;
  /** Runs `action` when that time has come. */
  at(deadlineNs: number, action: () => void): void;
};

export type HostOptions = {
  /** `02:00:00:00:00:01` */
  readonly mac: string;
  /** `198.18.0.1` */
  readonly address: string;
  readonly clock: HostClock;
  /** Puts an Ethernet frame on the device. */
  readonly send: (frame: Uint8Array) => void;
  /** Bytes, without the Ethernet header. */
  readonly mtu?: number;
};

/** What a connection needs of the host that carries it. */
export type TcpPath = {
  readonly clock: HostClock;
  readonly maximumSegmentSize: number;
  send(segment: Omit<TcpSegment, 'sourcePort' | 'destinationPort'>): void;
};

type Connection = { receive(segment: TcpSegment): void };

const DEFAULT_MTU = 1500;
/** Start of the range for outgoing connections (RFC 6335). */
const FIRST_EPHEMERAL_PORT = 49_152;
const EPHEMERAL_PORTS = 16_384;
const NOTHING: Uint8Array = new Uint8Array(0);

export class Host {
  readonly #mac: MacAddress;
  readonly #address: Ipv4Address;
  readonly #clock: HostClock;
  readonly #send: (frame: Uint8Array) => void;
  readonly #maximumSegmentSize: number;
  readonly #neighbours: Neighbours;
  readonly #pingers = new Map<number, Pinger>();
  readonly #listening = new Map<number, SinkStats>();
  /** By remote address, remote port and local port. */
  readonly #connections = new Map<string, Connection>();
  #identification = 0;
  #connectionsMade = 0;

  constructor(options: HostOptions) {
    this.#mac = parseMac(options.mac);
    this.#address = parseIpv4(options.address);
    this.#clock = options.clock;
    this.#send = options.send;
    this.#maximumSegmentSize = (options.mtu ?? DEFAULT_MTU) - IPV4_HEADER - TCP_HEADER;
    this.#neighbours = new Neighbours(options.clock, (address) => this.#askFor(address));
  }

  /** Takes a frame off the device. What is not for this host, or is damaged, is ignored. */
  receive(bytes: Uint8Array): void {
    const frame = parseEthernet(bytes);
    if (frame === undefined) return;
    if (frame.destination !== this.#mac && frame.destination !== BROADCAST_MAC) return;
    if (frame.type === ETHERTYPE_ARP) this.#receiveArp(frame.payload);
    if (frame.type === ETHERTYPE_IPV4) this.#receiveIpv4(frame.payload);
  }

  /** Sends ICMP echo requests; the counts that are returned grow as replies come. */
  ping(address: string, options: PingOptions): PingStats {
    const destination = parseIpv4(address);
    const identifier = this.#pingers.size + 1;
    const pinger = new Pinger(this.#clock, options, (sequence, payload) => {
      this.#sendEcho(destination, { type: ICMP_ECHO_REQUEST, identifier, sequence, payload });
    });
    this.#pingers.set(identifier, pinger);
    pinger.start();
    return pinger.stats;
  }

  /** Accepts connections on a port and counts what they carry. */
  listen(port: number): SinkStats {
    const stats: SinkStats = { connections: 0, bytes: 0 };
    this.#listening.set(port, stats);
    return stats;
  }

  /**
   * Connects, sends that many bytes and closes. The counts that are returned grow meanwhile; `onDone` is called when
   * the other end has acknowledged everything, or when it was given up.
   */
  transfer(
    address: string,
    port: number,
    bytes: number,
    onDone: () => void = () => undefined,
  ): TransferStats {
    const remote = parseIpv4(address);
    const local = FIRST_EPHEMERAL_PORT + (this.#connectionsMade++ % EPHEMERAL_PORTS);
    const key = connectionKey(remote, port, local);
    const path = this.#path(remote, port, local);
    const sender = new TcpSender(path, bytes, onDone, () => this.#connections.delete(key));
    this.#connections.set(key, sender);
    sender.start();
    return sender.stats;
  }

  #receiveArp(bytes: Uint8Array): void {
    const packet = parseArp(bytes);
    if (packet === undefined || packet.targetAddress !== this.#address) return;
    this.#neighbours.learn(packet.senderAddress, packet.senderMac);
    if (packet.targetMac === this.#mac) return;
    this.#sendArp(packet.senderMac, {
      operation: ARP_REPLY,
      senderMac: this.#mac,
      senderAddress: this.#address,
      targetMac: packet.senderMac,
      targetAddress: packet.senderAddress,
    });
  }

  #receiveIpv4(bytes: Uint8Array): void {
    const packet = parseIpv4Packet(bytes);
    if (packet === undefined || packet.destination !== this.#address) return;
    if (packet.protocol === PROTOCOL_ICMP) this.#receiveIcmp(packet);
    if (packet.protocol === PROTOCOL_TCP) this.#receiveTcp(packet);
  }

  #receiveIcmp(packet: Ipv4Packet): void {
    const echo = parseIcmpEcho(packet.payload);
    if (echo === undefined) return;
    if (echo.type === ICMP_ECHO_REQUEST) this.#sendEcho(packet.source, { ...echo, type: ICMP_ECHO_REPLY });
    else this.#pingers.get(echo.identifier)?.receive(echo.sequence);
  }

  #receiveTcp(packet: Ipv4Packet): void {
    const segment = parseTcp(packet.payload, packet.source, packet.destination);
    if (segment === undefined) return;
    const { sourcePort, destinationPort } = segment;
    const key = connectionKey(packet.source, sourcePort, destinationPort);
    const connection = this.#connections.get(key);
    if (connection !== undefined) {
      connection.receive(segment);
      return;
    }
    const path = this.#path(packet.source, sourcePort, destinationPort);
    const stats = this.#listening.get(destinationPort);
    if (stats === undefined || (segment.flags & TCP_SYN) === 0) {
      refuse(path, segment);
      return;
    }
    const receiver = new TcpReceiver(path, stats, () => this.#connections.delete(key));
    this.#connections.set(key, receiver);
    receiver.receive(segment);
  }

  #path(remote: Ipv4Address, remotePort: number, localPort: number): TcpPath {
    return {
      clock: this.#clock,
      maximumSegmentSize: this.#maximumSegmentSize,
      send: (segment) => {
        const ports = { sourcePort: localPort, destinationPort: remotePort };
        this.#sendIpv4(remote, PROTOCOL_TCP, emitTcp({ ...segment, ...ports }, this.#address, remote));
      },
    };
  }

  #sendEcho(destination: Ipv4Address, echo: IcmpEcho): void {
    this.#sendIpv4(destination, PROTOCOL_ICMP, emitIcmpEcho(echo));
  }

  #sendIpv4(destination: Ipv4Address, protocol: number, payload: Uint8Array): void {
    const identification = this.#identification++ & 0xffff;
    const packet = emitIpv4Packet({ source: this.#address, destination, protocol, identification, payload });
    this.#neighbours.resolve(destination, (mac) => {
      this.#send(
        emitEthernet({ destination: mac, source: this.#mac, type: ETHERTYPE_IPV4, payload: packet }),
      );
    });
  }

  #askFor(address: Ipv4Address): void {
    this.#sendArp(BROADCAST_MAC, {
      operation: ARP_REQUEST,
      senderMac: this.#mac,
      senderAddress: this.#address,
      targetMac: 0,
      targetAddress: address,
    });
  }

  #sendArp(destination: MacAddress, packet: ArpPacket): void {
    this.#send(
      emitEthernet({ destination, source: this.#mac, type: ETHERTYPE_ARP, payload: emitArp(packet) }),
    );
  }
}

function connectionKey(remote: Ipv4Address, remotePort: number, localPort: number): string {
  return `${remote} ${remotePort} ${localPort}`;
}

/** A segment that belongs to no connection is answered with a reset, and a reset with nothing (RFC 9293, 3.10.7.1). */
function refuse(path: TcpPath, segment: TcpSegment): void {
  if ((segment.flags & TCP_RST) !== 0) return;
  const hasAck = (segment.flags & TCP_ACK) !== 0;
  const length = segment.payload.length + ((segment.flags & TCP_SYN) === 0 ? 0 : 1);
  path.send({
    sequence: hasAck ? segment.acknowledgment : 0,
    acknowledgment: hasAck ? 0 : (segment.sequence + length) >>> 0,
    flags: hasAck ? TCP_RST : TCP_RST | TCP_ACK,
    window: 0,
    payload: NOTHING,
  });
}
