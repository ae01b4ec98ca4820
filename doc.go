// Package seaworthy is the vocabulary the rest of the project speaks: digests, subjects, packages, bills of
// materials, and errors with a closed list of codes. It does no input or output and imports the standard
// library only.
//
// Everything here is a plain value. Parsers (format, packages) make them, sources hand them up, engines
// answer questions with them, and cmd/seaworthy prints them.
package seaworthy
