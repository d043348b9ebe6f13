// The same tiny API on Node's own server: writes down each request before it answers it.
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'

const [port, log] = process.argv.slice(2)
const body = '{"id":"x"}'
const server = createServer({ keepAliveTimeout: 1000 }, (request, response) => {
  request.resume()
  request.on('end', () => {
    appendFileSync(log, `${request.method} ${request.url}\n`)
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
  })
})
server.maxRequestsPerSocket = 7
server.listen(Number(port), '127.0.0.1')
