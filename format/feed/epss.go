package feed

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// EPSSEntry is the score of one CVE.
type EPSSEntry struct {
	ID   string // CVE-…
	Fact seaworthy.EPSS
}

// maxEPSSLine is the longest line that is read: 4 KiB. Lines of the format have about 40 bytes.
const maxEPSSLine = 4 << 10

// EPSS reads FIRST's CSV (first.org/epss/data_stats), already decompressed: a comment line with
// "score_date:2025-08-25T…", the header "cve,epss,percentile", and one line a CVE. It returns the score date as
// written, "" when the file has none. Errors: Invalid and TooLarge for the file as a whole, and what each
// returns.
func EPSS(r io.Reader, each func(EPSSEntry) error, bad Bad) (scored string, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, maxEPSSLine), maxEPSSLine)
	n, header := 0, false
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		switch {
		case line == "":
			continue
		case strings.HasPrefix(line, "#"):
			for _, field := range strings.Split(line[1:], ",") {
				if date, ok := strings.CutPrefix(field, "score_date:"); ok {
					scored = strings.Replace(date, "+0000", "Z", 1)
				}
			}
			continue
		case !header:
			if !strings.HasPrefix(line, "cve,epss,percentile") {
				return scored, seaworthy.Errorf(seaworthy.Invalid, "reading EPSS: the header is %.40q, want cve,epss,percentile", line)
			}
			header = true
			continue
		}
		if n++; n > MaxEntries {
			return scored, seaworthy.Wrap(tooMany(), seaworthy.TooLarge, "reading EPSS")
		}
		entry, err := epssLine(line)
		if err != nil {
			bad(entry.ID, err)
			continue
		}
		if err := each(entry); err != nil {
			return scored, err
		}
	}
	if err := lines.Err(); err != nil {
		return scored, seaworthy.Wrap(err, seaworthy.Invalid, "reading EPSS")
	}
	if !header {
		return scored, seaworthy.Errorf(seaworthy.Invalid, "reading EPSS: there is no header line")
	}
	return scored, nil
}

func epssLine(line string) (EPSSEntry, error) {
	id, rest, _ := strings.Cut(line, ",")
	p, rest, _ := strings.Cut(rest, ",")
	pct, _, _ := strings.Cut(rest, ",")
	entry := EPSSEntry{ID: id}
	if _, ok := CVENumber(id); !ok {
		return entry, seaworthy.Errorf(seaworthy.Invalid, "%.64q is no CVE", id)
	}
	for _, f := range []struct {
		text string
		to   *float64
	}{{p, &entry.Fact.Probability}, {pct, &entry.Fact.Percentile}} {
		v, err := strconv.ParseFloat(f.text, 64)
		if err != nil || !(v >= 0 && v <= 1) {
			return entry, seaworthy.Errorf(seaworthy.Invalid, "%.32q is no share between 0 and 1", f.text)
		}
		*f.to = v
	}
	return entry, nil
}
