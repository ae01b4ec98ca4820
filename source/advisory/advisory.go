// Package advisory builds and reads the advisory database: one sorted, memory-mapped, checksummed file made of
// OSV records, distribution feeds, KEV and EPSS.
//
//	summary, err := advisory.Build(ctx, []advisory.Input{{Path: "go.zip"}}, "advisories.db", advisory.BuildOptions{})
//	db, err := advisory.Open("advisories.db")
//	list, err := db.Lookup("Go", "golang.org/x/net")
//
// # The file
//
// All numbers are little-endian. The header (HeaderBytes) holds the magic "SWADVDB\n", the format version, the
// size of the file, the SHA-256 of the body, where each section is, where the block table is with its CRC, and
// a CRC of itself. The body follows: sections on 8-byte boundaries. The block table ends the file: one CRC-32C
// for each BlockBytes of the body.
//
// Open checks the size, the header and the block table, and the blocks of the indexes. Every other block is
// checked when it is first touched, before a byte of it is believed; so opening costs the same for 10 MB and
// 1 GB, and no answer ever comes from a damaged block. CRCs guard against accidents; against people, sign the
// file. Verify checks everything, SHA-256 included.
//
// Sections: meta (JSON: sources and ecosystems); strings (offsets, bytes), each text once; records (table,
// bodies): one per advisory per source; packages (table sorted by ecosystem and name, bodies): what the
// advisories say of each; ids (table sorted by text, lists): which records carry a name; groups (table,
// lists): records of one vulnerability; kev (table sorted by CVE, bodies); epss (table sorted by CVE).
//
// The same input gives the same bytes.
//
// # What counts as one vulnerability
//
// Records are joined by their aliases, and by upstream where that is one name. A record with several CVEs (a
// distribution's update notice, say) is a bundle: it joins nothing, for what it says of one CVE is not true of
// another. The preferred name of a group is its CVE, then GHSA, then the first in alphabetical order. Each
// source's record keeps its own ranges.
package advisory

import (
	"regexp"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/feed"
)

// Source is one origin of advisories in a database.
type Source struct {
	Name      string           `json:"name"`
	Kind      feed.Kind        `json:"kind"`
	Date      time.Time        `json:"date"`            // of the data: its newest change; else of the file
	DateOf    string           `json:"dateOf"`          // "data" or "file"
	Digest    seaworthy.Digest `json:"digest"`          // of the file; of a directory, over "hex  path\n" lines
	Records   int              `json:"records"`         // kept
	Withdrawn int              `json:"withdrawn"`       // left out: their publisher took them back
	Malformed int              `json:"malformed"`       // left out: could not be read
	Packages  int              `json:"packages"`        // package entries of the records kept
	NotRead   int              `json:"notRead"`         // files of no known kind
	Unnamed   int              `json:"unnamed"`         // entries without ecosystem or package: git ranges only
	Facts     int              `json:"facts,omitempty"` // KEV or EPSS entries
}

// Stale returns an error with code Stale when a source is older than maxAge at now, naming each. A maxAge of 0
// accepts everything.
func Stale(sources []Source, now time.Time, maxAge time.Duration) error {
	if maxAge <= 0 {
		return nil
	}
	var old []string
	for _, s := range sources {
		if age := now.Sub(s.Date); age > maxAge {
			old = append(old, s.Name+" ("+age.Truncate(time.Hour).String()+" old)")
		}
	}
	if old == nil {
		return nil
	}
	return seaworthy.Errorf(seaworthy.Stale, "advisories are older than %s: %s", maxAge, strings.Join(old, ", ")).
		WithHint("fetch newer data with seaworthy advisories update, or raise --max-age")
}

var pypiRuns = regexp.MustCompile(`[-_.]+`)

// NormalName returns the form of a package name under which the database keeps it: PyPI as PEP 503 says; NuGet,
// Packagist, Hex, Pub and GitHub Actions without case; crates.io with "-" for "_"; every other as it is.
func NormalName(ecosystem, name string) string {
	base, _, _ := strings.Cut(ecosystem, ":")
	switch base {
	case "PyPI":
		return strings.ToLower(pypiRuns.ReplaceAllString(name, "-"))
	case "NuGet", "Packagist", "Hex", "Pub", "GitHub Actions":
		return strings.ToLower(name)
	case "crates.io":
		return strings.ReplaceAll(strings.ToLower(name), "_", "-")
	}
	return name
}
