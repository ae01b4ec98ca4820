package feed

import (
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// KEVEntry is one vulnerability of CISA's catalogue (cisa.gov/known-exploited-vulnerabilities-catalog).
type KEVEntry struct {
	ID   string // CVE-…
	Fact seaworthy.KEV
}

// KEV reads the catalogue's JSON and returns the date it was released, as written (RFC 3339).
// Errors: Invalid and TooLarge for the file as a whole, and what each returns.
func KEV(r io.Reader, each func(KEVEntry) error, bad Bad) (released string, err error) {
	dec := decode(r)
	n := 0
	err = object(dec, func(name string) error {
		switch {
		case name == "dateReleased" && dec.PeekKind() == '"':
			tok, err := dec.ReadToken()
			if err == nil {
				released = strings.Clone(tok.String())
			}
			return syntax(err)
		case name != "vulnerabilities":
			return syntax(dec.SkipValue())
		}
		if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '[' {
			return seaworthy.Errorf(seaworthy.Invalid, "vulnerabilities is no list")
		}
		for dec.PeekKind() != ']' {
			if n++; n > MaxEntries {
				return tooMany()
			}
			raw, err := value(dec)
			if err != nil {
				return err
			}
			entry, err := kevEntry(raw)
			if err != nil {
				bad(entry.ID, err)
				continue
			}
			if err := each(entry); err != nil {
				return err
			}
		}
		_, err := dec.ReadToken()
		return syntax(err)
	})
	return released, seaworthy.Wrap(err, seaworthy.Invalid, "reading KEV catalogue")
}

func kevEntry(raw jsontext.Value) (KEVEntry, error) {
	var in struct {
		ID         string `json:"cveID"`
		Name       string `json:"vulnerabilityName"`
		Added      string `json:"dateAdded"`
		Due        string `json:"dueDate"`
		Ransomware string `json:"knownRansomwareCampaignUse"`
	}
	err := json.Unmarshal(raw, &in)
	entry := KEVEntry{ID: in.ID, Fact: seaworthy.KEV{
		Added: in.Added, Due: in.Due, Name: in.Name, Ransomware: strings.EqualFold(in.Ransomware, "known"),
	}}
	if err != nil {
		return entry, seaworthy.Errorf(seaworthy.Invalid, "parsing entry: %w", err)
	}
	if _, ok := CVENumber(in.ID); !ok {
		return entry, seaworthy.Errorf(seaworthy.Invalid, "%.64q is no CVE", in.ID)
	}
	return entry, nil
}

// CVENumber turns "CVE-2023-44487" into a number that sorts as CVEs do: year, then sequence.
func CVENumber(id string) (uint64, bool) {
	rest, ok := strings.CutPrefix(id, "CVE-")
	if !ok || len(rest) < 6 || rest[4] != '-' || len(rest) > 17 {
		return 0, false
	}
	year, ok1 := digits(rest[:4])
	seq, ok2 := digits(rest[5:])
	if !ok1 || !ok2 || (len(rest) > 9 && rest[5] == '0') {
		return 0, false
	}
	return year<<48 | seq, true
}

func digits(s string) (n uint64, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, s != ""
}
