/** Programs as such: what the optimizer leaves, long jumps, listings. */

import { describe, expect, test } from 'vitest';
import { compileFilter, explain } from '../../../vm/compiler/index.ts';
import { disassemble } from '../../../vm/disassemble.ts';
import { interpret } from '../../../vm/interpreter.ts';
import { ethernet, ipv4, tcp } from '../helpers/frames.ts';

describe('the optimizer', () => {
  test('finds the program libpcap finds for tcp port 80, IPv4 first', () => {
    expect(
      disassemble(compileFilter('tcp port 80'), 'd')
        .trim()
        .split('\n')
        .map((line) => line.replace(/\s+/g, ' ')),
    ).toEqual([
      '(000) ldh [12]',
      '(001) jeq #0x800 jt 2 jf 11',
      '(002) ldb [23]',
      '(003) jeq #0x6 jt 4 jf 19',
      '(004) ldh [20]',
      '(005) jset #0x1fff jt 19 jf 6',
      '(006) ldxb 4*([14]&0xf)',
      '(007) ldh [x + 14]',
      '(008) jeq #0x50 jt 18 jf 9',
      '(009) ldh [x + 16]',
      '(010) jeq #0x50 jt 18 jf 19',
      '(011) jeq #0x86dd jt 12 jf 19',
      '(012) ldb [20]',
      '(013) jeq #0x6 jt 14 jf 19',
      '(014) ldh [54]',
      '(015) jeq #0x50 jt 18 jf 16',
      '(016) ldh [56]',
      '(017) jeq #0x50 jt 18 jf 19',
      '(018) ret #262144',
      '(019) ret #0',
    ]);
  });

  test.each([
    // Constant conditions.
    ['1 = 1', 1],
    ['1 = 2', 1],
    ['ip and not ip', 1],
    ['tcp and not ip and not ip6', 1],
    ['ip[0] > 255', 1],
    ['ether[0] & 0x100 = 0', 2],
    // A range known from one test decides another.
    ['len > 100 and len > 50', 4],
    ['len > 100 and len = 20', 1],
    ['ip and stp', 1],
    // One load for tests of the same data, wherever they stand.
    ['ip[0] = 1 or ip[1] = 2 or ip[0] = 3', 9],
    ['tcp[13] = 2 or tcp[13] = 18', 12],
    ['host 1.2.3.4 or 5.6.7.8 or 9.9.9.9', 20],
    ['not host 1.2.3.4 and not host 5.6.7.8', 17],
    // Which of several protocols it is, once known, is not asked again.
    ['dst port 7 or src port 9', 24],
    ['tcp and tcp port 80', 20],
    ['tcp or udp', 13],
    // Masks and additions become part of the comparison.
    ['ether[0] & 1 = 0', 4],
    ['tcp[13] & 2 = 2', 11],
    ['ether[0:4] - 5 = 3', 4],
    ['ip[2:2] + ip[4:2] = 7', 9],
  ])('%j takes %i instructions', (expression, length) => {
    expect(compileFilter(expression).length).toBe(length);
  });

  test('keeps rejecting packets that are too short to be tested, even when the test could be left out', () => {
    for (const expression of [
      'ether[20] = ether[20]',
      'ip or not ip',
      'len > 0 or ether[40] = 1',
      'not (ip and arp)',
    ]) {
      for (const length of [0, 11, 12, 13, 14, 20, 21, 40, 41]) {
        const packet = new Uint8Array(length);
        const verdicts = [true, false].map((optimize) =>
          interpret(compileFilter(expression, { optimize }), packet),
        );
        expect([expression, length, verdicts[0]]).toEqual([expression, length, verdicts[1]]);
      }
    }
  });
});

describe('long programs', () => {
  const addresses = Array.from({ length: 1200 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  const packet = (last: number): Uint8Array =>
    ethernet(0x0800, ipv4(6, tcp(1, 2)).replace('c6120001', `0a01${last.toString(16).padStart(4, '0')}`));

  test.each([true, false])('jump further than 255 instructions (optimize: %s)', (optimize) => {
    const program = compileFilter(`ip src host ${addresses.join(' or ')}`, { optimize });
    expect(program.length).toBeGreaterThan(1200);
    for (const index of [0, 1, 254, 255, 256, 700, 1199])
      expect(interpret(program, packet(index))).not.toBe(0);
    expect(interpret(program, packet(1200))).toBe(0);
    expect(interpret(compileFilter(`not ip src host (${addresses.join(' or ')})`), packet(700))).toBe(0);
  });

  test('compile in time that grows with their length', () => {
    const started = performance.now();
    const conditions = Array.from({ length: 900 }, (_, i) => `tcp[${i % 60}] = ${i % 256}`);
    expect(compileFilter(conditions.join(' or ')).length).toBeLessThan(4096);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe('explain', () => {
  test('says of every instruction what it is for, and which part of the expression', () => {
    expect(
      explain('tcp and not src host 10.0.0.1', { linkType: 'RAW', snapLength: 96 }),
    ).toMatchInlineSnapshot(`
      "(000) ldb      [0]                             ; IP version                      | tcp
      (001) and      #0xf0                           ; the bits that matter            | tcp
      (002) jeq      #0x40            jt 3    jf 7   ; is it IPv4?                     | tcp
      (003) ldb      [9]                             ; IPv4 protocol                   | tcp
      (004) jeq      #0x6             jt 5    jf 14  ; is it TCP?                      | tcp
      (005) ld       [12]                            ; IPv4 source address             | src host 10.0.0.1
      (006) jeq      #0xa000001       jt 14   jf 13  ; is the source 10.0.0.1?         | src host 10.0.0.1
      (007) jeq      #0x60            jt 8    jf 14  ; is it IPv6?                     | tcp
      (008) ldb      [6]                             ; IPv6 next header                | tcp
      (009) jeq      #0x6             jt 13   jf 10  ; is it TCP?                      | tcp
      (010) jeq      #0x2c            jt 11   jf 14  ; is it a fragment?               | tcp
      (011) ldb      [40]                            ; next header of the fragment     | tcp
      (012) jeq      #0x6             jt 13   jf 14  ; is it TCP?                      | tcp
      (013) ret      #96                             ; accept, keeping up to 96 bytes
      (014) ret      #0                              ; reject
      "
    `);
  });

  test('leaves the part out when there is only one', () => {
    expect(explain('arp')).toMatchInlineSnapshot(`
      "(000) ldh      [12]                           ; EtherType or 802.3 length
      (001) jeq      #0x806           jt 2    jf 3  ; is it ARP?
      (002) ret      #262144                        ; accept, keeping up to 262144 bytes
      (003) ret      #0                             ; reject
      "
    `);
  });

  test('explains the program that compileFilter makes', () => {
    for (const expression of ['geneve and tcp', 'port 53', '', 'ip6 protochain 6']) {
      expect(explain(expression).trimEnd().split('\n')).toHaveLength(compileFilter(expression).length);
    }
  });
});
