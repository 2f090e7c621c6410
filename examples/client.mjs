// Stores two messages, waits until they can be found, and asks a question; the contract is read from protos/ at run time.
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const root = fileURLToPath(new URL('..', import.meta.url));
// third_party/ holds buf/validate/validate.proto, which `make setup-dev` writes.
const definition = loader.loadSync(['winnow/ingest/v1/ingest.proto', 'winnow/search/v1/search.proto'], {
  includeDirs: [`${root}/protos`, `${root}/third_party`], keepCase: true, enums: String, longs: String,
});
const { winnow } = grpc.loadPackageDefinition(definition);
const key = new grpc.Metadata();
key.set('authorization', `Bearer ${process.env.WINNOW_API_KEY}`);

const connect = (Service, address) => new Service(address, grpc.credentials.createInsecure());
const ingest = connect(winnow.ingest.v1.IngestService, process.env.WINNOW_INGEST_ADDRESS ?? '127.0.0.1:15051');
const search = connect(winnow.search.v1.SearchService, process.env.WINNOW_SEARCH_ADDRESS ?? '127.0.0.1:15054');
const call = (client, method, request) => new Promise((resolve, reject) =>
  client[method](request, key, { deadline: Date.now() + 40_000 }, (error, reply) => (error ? reject(error) : resolve(reply))));

const now = () => ({ seconds: Math.ceil(Date.now() / 1000) }); // rounded up: what was just accepted is waited for
const stored = await call(ingest, 'IngestMessages', {
  source: { kind: 'SOURCE_KIND_API', external_id: 'example' },
  messages: ['The staging database ran out of connections.', 'We raised the limit of connections to 200.']
    .map((text, number) => ({ external_id: String(number), text, sent_at: { seconds: Date.UTC(2026, 2, 2, 9, 30) / 1000 } })),
});
for (const { outcome } of stored.results) console.log(outcome);

const found = await call(search, 'Search', {
  query: process.argv[2] ?? 'what was wrong with staging?',
  page_size: 3,
  wait_for: { accepted_until: now(), timeout: { seconds: 30 } },
});
for (const { score, message, atom } of found.results) console.log(score.toFixed(4), message?.text ?? atom?.title);
ingest.close();
search.close();
