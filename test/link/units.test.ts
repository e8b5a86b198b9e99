import { describe, expect, test } from 'vitest';
import {
  formatPercent,
  formatRate,
  formatSize,
  formatTime,
  parsePercent,
  parseRate,
  parseSize,
  parseTime,
  UnitError,
} from '../../src/link/units.ts';

/** The units of tc(8): PARAMETERS, RATES, TIMES and SIZES. */
describe('units of tc(8)', () => {
  test.each<[(text: string) => number, string, number]>([
    [parseTime, '20', 20_000],
    [parseTime, '20us', 20_000],
    [parseTime, '20usecs', 20_000],
    [parseTime, '20ms', 20_000_000],
    [parseTime, '1.5s', 1_500_000_000],
    [parseTime, '2sec', 2_000_000_000],
    [parseTime, '7ns', 7],
    [parseTime, '0.1ms', 100_000],
    [parseTime, '.5MS', 500_000],
    [parseTime, '1e-7', 0],
    [parseTime, '0', 0],
    [parseTime, '-0', 0],
    [parseRate, '1000', 1000],
    [parseRate, '1000bit', 1000],
    [parseRate, '50mbit', 50_000_000],
    [parseRate, '50Mbit', 50_000_000],
    [parseRate, '1gbit', 1_000_000_000],
    [parseRate, '1kibit', 1024],
    [parseRate, '10bps', 80],
    [parseRate, '125kbps', 1_000_000],
    [parseRate, '1mibps', 8_388_608],
    [parseRate, '0', 0],
    [parseSize, '3000', 3000],
    [parseSize, '64k', 65_536],
    [parseSize, '64kb', 65_536],
    [parseSize, '1.5kb', 1536],
    [parseSize, '1mb', 1_048_576],
    [parseSize, '8kbit', 1024],
    [parseSize, '1g', 1_073_741_824],
    [parsePercent, '0.5%', 0.005],
    [parsePercent, '1', 0.01],
    [parsePercent, '100%', 1],
    [parsePercent, '0.07%', 0.0007],
  ])('%o reads %j as %d', (parse, text, expected) => {
    expect(parse(text)).toBe(expected);
  });

  test.each<[(text: string) => number, string, RegExp]>([
    [parseTime, '', /expected a time such as 20ms/],
    [parseTime, 'ms', /expected a time/],
    [parseTime, '20 ms', /expected a time/],
    [parseTime, '20m', /unknown unit "m", expected us, ns, ms, s/],
    [parseTime, '1h', /unknown unit "h"/],
    [parseTime, '4295s', /too large, at most 4294s/],
    [parseTime, '-1ms', /must not be negative/],
    [parseTime, 'Infinity', /expected a time/],
    [parseTime, '1e999s', /too large/],
    [parseTime, '0x10', /expected a time/],
    [parseRate, '10%', /unknown unit "%"/],
    [parseRate, '2tbit', /too large, at most 1tbit/],
    [parseRate, '0.1', /too small/],
    [parseSize, '0', /too small, at least 1 byte/],
    [parseSize, '1tb', /unknown unit "tb"/],
    [parseSize, '5gb', /too large/],
    [parsePercent, '100.1%', /too large, at most 100%/],
    [parsePercent, '1%%', /expected a percentage|unknown unit/],
  ])('%o refuses %j', (parse, text, message) => {
    expect(() => parse(text)).toThrow(UnitError);
    expect(() => parse(text)).toThrow(message);
  });

  test('a value of a megabyte is refused in a short message', () => {
    const long = '1'.repeat(1_000_000);
    expect(() => parseTime(long)).toThrow(/^"1{37}\.\.\.": expected a time/);
  });

  test.each<[string, string]>([
    [formatTime(0), '0ms'],
    [formatTime(1_000_000_000), '1s'],
    [formatTime(20_500_000), '20500us'],
    [formatRate(1_000_000), '1mbit'],
    [formatRate(1), '1bit'],
    [formatSize(262_144), '256kb'],
    [formatSize(1000), '1000b'],
    [formatPercent(0), '0%'],
    [formatPercent(0.29), '29%'],
    [formatPercent(1e-9), '1e-7%'],
    [formatPercent(0.012345), '1.2345%'],
  ])('%j is written as %j', (text, expected) => {
    expect(text).toBe(expected);
  });
});
