// The founding example in Node, unchanged: only its imports are pointed at the server.
import { register } from 'node:module';
import { play } from './play.mjs';

register('./hooks.mjs', import.meta.url);
const example = await import('./firebase-example.js');
const result = await play(example, () => new File(['an image, they say'], 'photo.png', { type: 'image/png' }));
process.stdout.write(`RESULT ${JSON.stringify(result)}\n`);
process.exit(0);
