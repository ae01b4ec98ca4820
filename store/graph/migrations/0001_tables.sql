-- Subjects, documents and statements, and what finds them. Ids are the 16 bytes of graph.ID. Text from outside is
-- bytea: it may have any bytes, and is ordered as bytes whatever the collation.

CREATE TABLE graph_subject (
	id   uuid     PRIMARY KEY,
	kind smallint NOT NULL, -- its place in seaworthy.SubjectKinds, from 1
	key  bytea    NOT NULL
);

CREATE TABLE graph_document (
	id         uuid     PRIMARY KEY,
	kind       text     NOT NULL,
	ingested   bigint   NOT NULL, -- nanoseconds since 1970
	statements bigint   NOT NULL, -- how many it makes
	document   text     NOT NULL, -- JSON
	said       bytea    NOT NULL, -- the keys of its statements and names, compressed, by which they are found again
	attempt    uuid     NOT NULL  -- of the writer: who lost the answer to a commit recognises what it wrote
);
CREATE INDEX graph_document_newest ON graph_document (ingested DESC, id);

-- The bytes of a document, compressed as a whole with zstd and cut into chunks.
CREATE TABLE graph_body (
	document uuid  NOT NULL,
	part     int   NOT NULL,
	bytes    bytea NOT NULL,
	PRIMARY KEY (document, part)
);

CREATE TABLE graph_statement (
	subject   uuid     NOT NULL,
	predicate smallint NOT NULL, -- its place in seaworthy.Predicates, from 1
	object    uuid     NOT NULL,
	document  uuid     NOT NULL,
	attrs     bytea,
	PRIMARY KEY (subject, predicate, object, document)
);
CREATE INDEX graph_statement_back ON graph_statement (object, predicate, subject, document);
-- What Top counts: all but files.
CREATE INDEX graph_statement_top ON graph_statement (predicate, object, subject) WHERE predicate <> 2;

CREATE TABLE graph_name (
	subject  uuid  NOT NULL,
	hash     bytea NOT NULL, -- of the text
	document uuid  NOT NULL,
	text     bytea NOT NULL,
	PRIMARY KEY (subject, hash, document)
);

-- What subjects are found by: entries made by findKeys in keys.go.
CREATE TABLE graph_term (
	key     bytea PRIMARY KEY,
	subject uuid  NOT NULL,
	name    bytea -- null: found by its key, or by the path of a file
);

CREATE TABLE graph_job (
	id      text     COLLATE "C" PRIMARY KEY,
	kind    text     NOT NULL,
	urgency int      NOT NULL,
	due     bigint   NOT NULL, -- nanoseconds since 1970; of one that runs: when its lease ends
	parked  boolean  NOT NULL,
	job     text     NOT NULL  -- JSON
);
CREATE INDEX graph_job_next ON graph_job (urgency DESC, due, id) WHERE NOT parked;
