// Mail by nodemailer's pool: node_worker.js with CONN kept connections to a mail server; with ALONE=1 the pool by itself,
// which is given all mails at the start and records nothing.
const { Client } = require('pg'), nodemailer = require('nodemailer'), c = require('./common.js');

const send = async (pool, row, text) => (await pool.sendMail({
  from: 'ACME <vendas@acme.example>', to: row.email, subject: c.render('Olá {{primeiro_nome}}', row), text,
})).messageId;

c.main(async () => {
  const alone = !!c.num('ALONE', 0), batch = c.num('BATCH', 500), conn = c.num('CONN', 20), loops = alone ? 1 : c.num('LOOPS', 2);
  const pool = nodemailer.createTransport({
    pool: true, host: c.provider.hostname, port: +c.provider.port, secure: false, ignoreTLS: true, maxConnections: conn, maxMessages: Infinity,
  });
  const dbs = await Promise.all(Array.from({ length: loops }, async () => { const d = new Client(); await d.connect(); return d; }));
  const claim = async (db, most) => (await db.query({ name: 'claim', text: c.CLAIM, values: [most] })).rows;
  if (alone) {
    const rows = await claim(dbs[0], c.num('MAILS', 1e6)), took = c.clock();
    await c.sendAll(pool, rows, conn, send);
    return [rows.length, took()];
  }
  const took = c.clock();
  let steps = 0;
  await Promise.all(dbs.map(async db => {
    for (;;) {
      const rows = await claim(db, batch);
      if (!rows.length) return;
      const [texts, ids] = await c.sendAll(pool, rows, conn, send);
      await db.query({ name: 'record', text: c.RECORD, values: c.recordValues(rows, texts, ids) });
      steps += rows.length;
    }
  }));
  return [steps, took()];
});
