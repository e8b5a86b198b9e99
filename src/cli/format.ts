/** Numbers as people read them: SI prefixes for rates, thousands apart for counts. */

const PREFIXES = ['', 'k', 'M', 'G', 'T'];

/** A value with the SI prefix that leaves one to three digits before the point: `12.3 Mbit/s`. */
export function si(value: number, unit: string): string {
  let scaled = value;
  let prefix = 0;
  // 999.95 would be shown as 1000.0.
  while (scaled >= 999.95 && prefix < PREFIXES.length - 1) {
    scaled /= 1000;
    prefix++;
  }
  const digits = prefix === 0 && Number.isInteger(scaled) ? String(scaled) : scaled.toFixed(1);
  return `${digits} ${PREFIXES[prefix]}${unit}`;
}

/** 1234567 as `1,234,567`. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 frame`, `2 frames`. */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** Seconds as `45s`, `3m12s`, `2h05m`, `4d03h`. */
export function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86_400)}d${two(Math.floor((whole % 86_400) / 3600))}h`;
}
