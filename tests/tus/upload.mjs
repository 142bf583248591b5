// Uploads a file with tus-js-client, as a third-party client would: in parts, cut off once
// in the middle and resumed by a new client that knows only the address of the upload.
// The Go test beside internal/media starts the server and passes its address.
import { readFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { Upload } from 'tus-js-client'

const [endpoint, path] = process.argv.slice(2)

const bytes = await readFile(path)
const options = {
  endpoint,
  chunkSize: 512 * 1024,
  retryDelays: [0, 100, 500],
  headers: { 'X-Person': 'ada' },
  metadata: {
    filename: 'Wasserschaden Küche.pdf',
    filetype: 'application/pdf',
    sha256: createHash('sha256').update(bytes).digest('hex'),
  },
}

/** Uploads until the end, or until so many bytes were accepted; then it breaks off. */
function run(uploadUrl, stopAfter) {
  return new Promise((resolve, reject) => {
    let sentBeforeStart
    const upload = new Upload(bytes, {
      ...options,
      uploadUrl,
      onError: reject,
      onSuccess: () => resolve({ url: upload.url, done: true, sentBeforeStart }),
      onProgress: (sent) => {
        sentBeforeStart ??= sent
      },
      onChunkComplete: (_size, accepted) => {
        if (accepted >= stopAfter) {
          upload.abort(false).then(() => resolve({ url: upload.url, done: false, accepted }), reject)
        }
      },
    })
    upload.start()
  })
}

const first = await run(undefined, bytes.length / 2)
if (first.done) throw new Error('the upload was not interrupted')
const second = await run(first.url, Infinity)
if (!second.done || second.url !== first.url) throw new Error('the upload was not resumed')
if (second.sentBeforeStart < first.accepted) {
  throw new Error(`resumed at ${second.sentBeforeStart}, but ${first.accepted} had been accepted`)
}
console.log(JSON.stringify({ url: second.url, resumedAt: second.sentBeforeStart }))
