// The tables of the PostgreSQL ledger: one schema in one database, every table
// with the number of its collection first. Names compare byte by byte.

/** What brings the database from each version to the next, oldest first. Never edited once released. */
export const MIGRATIONS: readonly string[] = [
  `
CREATE TABLE countersign.collections (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text COLLATE "C" NOT NULL UNIQUE,
  publication bigint NOT NULL DEFAULT 0
);
CREATE TABLE countersign.publications (
  collection integer NOT NULL REFERENCES countersign.collections, publication bigint NOT NULL, at bigint NOT NULL,
  attempt uuid NOT NULL, PRIMARY KEY (collection, publication)
);
CREATE TABLE countersign.files (
  collection integer NOT NULL, role text COLLATE "C" NOT NULL, version bigint NOT NULL, publication bigint NOT NULL,
  place integer NOT NULL, length integer NOT NULL, sha256 text NOT NULL, bytes bytea NOT NULL,
  PRIMARY KEY (collection, role, version)
);
CREATE INDEX files_by_publication ON countersign.files (collection, publication, place);
CREATE TABLE countersign.roles (
  collection integer NOT NULL, role text COLLATE "C" NOT NULL, version bigint NOT NULL, length integer NOT NULL,
  sha256 text NOT NULL, PRIMARY KEY (collection, role)
);
CREATE TABLE countersign.shown (
  collection integer NOT NULL, path text COLLATE "C" NOT NULL, sha256 text NOT NULL, publication bigint NOT NULL,
  PRIMARY KEY (collection, path)
);
CREATE INDEX shown_by_publication ON countersign.shown (collection, publication);
CREATE TABLE countersign.blobs (
  collection integer NOT NULL, sha256 text COLLATE "C" NOT NULL, sha512 text NOT NULL, length bigint NOT NULL,
  PRIMARY KEY (collection, sha256)
);
CREATE TABLE countersign.decisions (
  collection integer NOT NULL, sequence bigint NOT NULL, text text NOT NULL, PRIMARY KEY (collection, sequence)
);
CREATE TABLE countersign.submissions (
  sequence bigint GENERATED ALWAYS AS IDENTITY, collection integer NOT NULL, id text COLLATE "C" NOT NULL,
  received bigint NOT NULL, text text NOT NULL, publication bigint, refusal text, PRIMARY KEY (collection, id)
);
CREATE INDEX submissions_pending ON countersign.submissions (collection, sequence)
  WHERE publication IS NULL AND refusal IS NULL;
CREATE TABLE countersign.documents (
  collection integer NOT NULL, kind text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, revision bigint NOT NULL,
  text text, PRIMARY KEY (collection, kind, id)
);
CREATE TABLE countersign.tokens (
  collection integer NOT NULL, sha256 text COLLATE "C" NOT NULL, account text NOT NULL,
  PRIMARY KEY (collection, sha256)
);
`,
];
