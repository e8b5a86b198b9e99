// The server under test: answers every request with the same 100,000 bytes. It knows nothing of the lab.
import { createServer } from 'node:http';

const body = Buffer.alloc(100_000, 'taplab ');
createServer((_request, response) => response.end(body)).listen(80, () => console.log('listening'));
