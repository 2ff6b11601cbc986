// The page of the founding example.
import * as example from './firebase-example.js';
import { play } from './play.mjs';

window.playFounding = () => play(example, () => new File(['an image, they say'], 'photo.png', { type: 'image/png' }));
