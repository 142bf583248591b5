// Fills a PouchDB (leveldb) from a file of documents, one JSON object a line, and replicates
// it to a server as `estate bench sync` replicates tickets: all of them, then those that were
// changed afterwards. Arguments: folder, address of the server's database, file, number of
// documents to change. The last line printed is what was measured.
import { createReadStream } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { createInterface } from 'node:readline'

const require = createRequire(import.meta.url) // a CommonJS package
const PouchDB = require('pouchdb')

const BATCH = 1000

const [folder, server, file, changes] = process.argv.slice(2)
const local = new PouchDB(path.join(folder, 'edge'))
const remote = new PouchDB(server)

async function store(documents) {
  for (const result of await local.bulkDocs(documents)) {
    if (result.error) throw new Error(`store ${result.id}: ${result.error}`)
  }
}

async function fill() {
  let batch = []
  for await (const line of createInterface({ input: createReadStream(file) })) {
    batch.push(JSON.parse(line))
    if (batch.length === BATCH) {
      await store(batch)
      batch = []
    }
  }
  if (batch.length > 0) await store(batch)
}

async function change(count) {
  for (let done = 0; done < count; done += BATCH) {
    const { rows } = await local.allDocs({ include_docs: true, skip: done, limit: Math.min(BATCH, count - done) })
    await store(rows.map(({ doc }) => ({ ...doc, title: `${doc.title} again` })))
  }
}

async function replicate(expected) {
  const began = performance.now()
  const result = await local.replicate.to(remote, { batch_size: BATCH })
  const seconds = (performance.now() - began) / 1000
  if (result.docs_written !== expected) throw new Error(`${result.docs_written} documents arrived, not ${expected}`)
  return expected / seconds
}

await fill()
const { doc_count: count } = await local.info()
const all = await replicate(count)
await change(Number(changes))
const changed = await replicate(Number(changes))
console.log(JSON.stringify({ all, changed, maxRSS: process.resourceUsage().maxRSS * 1024 }))
await local.close()
