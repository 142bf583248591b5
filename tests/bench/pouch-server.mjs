// The peer that `estate bench sync` measures beside: express-pouchdb over leveldb, with
// what replication needs and nothing else. Arguments: the folder of its data, its port.
import { createRequire } from 'node:module'
import path from 'node:path'

const require = createRequire(import.meta.url) // these packages are CommonJS
const express = require('express')
const expressPouchDB = require('express-pouchdb')
const PouchDB = require('pouchdb')

const [folder, port] = process.argv.slice(2)

const Local = PouchDB.defaults({ prefix: path.join(folder, path.sep) })
const app = express()
app.use('/', expressPouchDB(Local, { mode: 'minimumForPouchDB', inMemoryConfig: true, logPath: path.join(folder, 'log.txt') }))
app.listen(Number(port), '127.0.0.1', () => console.log('listening'))
