package packages

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"

	"github.com/klauspost/compress/zlib"
	rustaudit "github.com/rust-secure-code/go-rustaudit"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

const (
	// maxRustList is the largest dependency list of a Rust program, decompressed: 8 MiB.
	maxRustList = 8 << 20
	// maxRustEdges is how many dependencies between the crates of one program are kept.
	maxRustEdges = 200_000
)

// readRustBinary reads the content of cargo-auditable's section: JSON, compressed by zlib
// (github.com/rust-secure-code/cargo-auditable, PARSING.md). What follows the compressed data is not read.
func readRustBinary(p string, section []byte) (Facts, error) {
	invalid := func(err error) error {
		return seaworthy.Errorf(seaworthy.Invalid, "reading the Rust dependency list of %q: %w", p, err)
	}
	z, err := zlib.NewReader(bytes.NewReader(section))
	if err != nil {
		return Facts{}, invalid(err)
	}
	list, err := io.ReadAll(io.LimitReader(z, maxRustList+1))
	if err != nil {
		return Facts{}, invalid(err)
	}
	if len(list) > maxRustList {
		return Facts{}, seaworthy.Errorf(seaworthy.TooLarge, "reading the Rust dependency list of %q: more than %d bytes", p, maxRustList)
	}
	var info rustaudit.VersionInfo
	if err := json.Unmarshal(list, &info); err != nil {
		return Facts{}, invalid(err)
	}
	var facts Facts
	edges := 0
	for i, crate := range info.Packages {
		if crate.Name == "" {
			continue
		}
		c := seaworthy.Package{
			Ref: strconv.Itoa(i), Ecosystem: "cargo", Name: crate.Name, Version: crate.Version,
			PURL: purl.New("cargo", "", crate.Name, crate.Version),
		}
		if crate.Kind == rustaudit.Build {
			c.Scope = seaworthy.Build
		}
		if crate.Root {
			c.Role, c.Direct = seaworthy.Application, true
		}
		if crate.Source != "" {
			c.Properties = []seaworthy.Property{{Name: "cargo:source", Value: crate.Source}}
		}
		facts.Packages = append(facts.Packages, c)
		for _, to := range crate.Dependencies {
			if to >= uint(len(info.Packages)) || to == uint(i) {
				continue
			}
			if edges++; edges > maxRustEdges {
				return facts, seaworthy.Errorf(seaworthy.TooLarge, "reading the Rust dependency list of %q: more than %d dependencies", p, maxRustEdges)
			}
			r := seaworthy.Relation{From: c.Ref, Type: seaworthy.DependsOn, To: strconv.FormatUint(uint64(to), 10)}
			if info.Packages[to].Kind == rustaudit.Build {
				r.Scope = seaworthy.Build
			}
			facts.Relations = append(facts.Relations, r)
		}
	}
	return facts, nil
}
