// Runs the founding example's program and everything else in it, and tells what it said. For Node and for pages.
export async function play(example, newFile) {
  const said = [];
  const write = console.log;
  const hear = (kind) => (...parts) => said.push([kind, ...parts.map((part) => (typeof part === 'string' || part === undefined ? String(part) : JSON.stringify(part)))].join(' '));
  console.log = hear('log');
  console.error = hear('error');
  const outcome = { demo: 'done', download: null };
  try {
    await example.demo().catch((error) => { outcome.demo = error.code ?? String(error); });
    if (outcome.demo === 'done') {
      const url = await example.uploadImage(newFile());
      outcome.download = await (await fetch(url)).text();
      await example.createPost('A second post', 'seen live');
      await waitFor(() => said.some((line) => line.includes('A second post') && line.startsWith('log new post:')));
      await waitFor(() => said.includes('log unsubscribed'));
    }
  } finally {
    console.log = write;
  }
  return { said, outcome };
}

async function waitFor(condition) {
  for (let waited = 0; !condition(); waited += 50) {
    if (waited > 12_000) throw new Error('not seen in time');
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
