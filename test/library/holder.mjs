// A process with a lab that ends without taking it down. Usage: node holder.mjs INDEX.JS exit|throw|wait
// Prints the lab's name and the pid of a process in it that has left its process group.
const [, , index, how] = process.argv;
const { Lab } = await import(index);
const ip = (host) => ({ interfaces: { eth0: { ip: `198.18.44.${host}/24` } } });
const lab = await Lab.up({ name: 'holder', nodes: { a: ip(1), b: ip(2) } });
const child = await lab.node('a').spawn('setsid', ['sh', '-c', 'echo pid $$; exec sleep 300']);
const [, pid] = await child.waitForOutput(/pid (\d+)/);
console.log(JSON.stringify({ name: lab.name, pid: Number(pid) }));
if (how === 'exit') process.exit(3);
if (how === 'throw') throw new Error('uncaught');
