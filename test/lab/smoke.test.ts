import { expect, test } from 'vitest';
import { openDevice } from '../../src/device/open.ts';
import { Nodes, execInNode } from '../../src/lab/namespaces.ts';
import { parseLab } from '../../src/lab/parse.ts';
import { claimLab, listLabs } from '../../src/lab/state.ts';

test('smoke', async () => {
  const lab = parseLab(`
name: test-${process.pid}
seed: 7
nodes:
  client: { interfaces: { eth0: { ip: [198.18.0.1/24, fd00::1/64] } }, routes: [default via 198.18.0.254], sysctls: {net.ipv4.ip_forward: 1} }
  server: { interfaces: { eth0: { ip: 198.18.0.2/24, device: tap}, t: {device: tun} } }
links:
  - name: wan
    endpoints: [client:eth0, server:eth0]
    impair: { delay: 20ms, jitter: 2ms, loss: 0.5%, rate: 50mbit }
descriptors:
  - { interface: client:eth0, filter: tcp port 80, write: http.pcapng }
`, { file: 'x.yaml', baseDirectory: '/tmp' });
  console.log(JSON.stringify(lab, undefined, 1));
  const claim = await claimLab(lab, { socket: '/tmp/x.sock' });
  console.log(listLabs());
  const nodes = await Nodes.create(lab);
  const devices = [];
  for (const n of lab.nodes) for (const i of n.interfaces) devices.push(await openDevice(i, nodes.namespace(n.name)));
  console.log(devices);
  const t = performance.now();
  await nodes.configure();
  console.log('configure', performance.now() - t);
  for (const n of ['client', 'server']) {
    const c = execInNode(lab.name, n, 'sh', ['-c', 'ip addr; ip route; ip -6 route; sysctl net.ipv4.ip_forward'], { stdio: 'inherit' });
    await new Promise((r) => c.once('close', r));
  }
  for (const d of devices) await d.close();
  console.log(await nodes.remove());
  claim.release();
  expect(listLabs().length).toBe(0);
  try { parseLab(`
name: "bad name"
nod: 3
nodes:
  a: { interfaces: { eth0: { ip: 198.18.0.1, mtu: 20, mcu: 3 }, toolongnamefortheinterface: , t0: {device: tun, mac: 01:02:03:04:05:06}} }
  b: { interfaces: { eth0: { device: tapp }, m0: {device: memory} }, routes: [default via 1.2.3.4, foo] }
  b: 
links:
  - endpoints: [a:eth0, b:eth1]
    impair: delay 20mms lss 3%
  - name: x
    endpoints: [a:eth0, a:t0]
    forward: { delay: 20xs, loss: 150%, jittr: 3 }
  - endpoints: [c:eth0]
descriptors: 
  - {interface: a:eth7, direction: both}
`, { file: 'bad.yaml', baseDirectory: '/' }); } catch (e) { console.log((e as Error).message); }
});
