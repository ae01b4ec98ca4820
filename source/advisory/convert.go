package advisory

import (
	"math"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/feed"
	"github.com/seaworthy-dev/seaworthy/format/osv"
)

// fromDebian turns an issue of the tracker into an entry: resolved in V is the range [0, V); open is [0, ∞);
// never affected ("0") and undetermined have no range and never match, but are shown.
func fromDebian(i feed.DebianIssue) entry {
	e := entry{id: i.ID, summary: i.Description}
	for _, rel := range i.Releases {
		a := osv.Affected{
			Package:   osv.Package{Ecosystem: "Debian:" + rel.Release, Name: i.Package},
			Ecosystem: osv.Specific{Urgency: rel.Urgency},
		}
		var notes []string
		var fix seaworthy.Fix
		switch {
		case rel.Status == "undetermined":
			notes = append(notes, "undetermined")
		case rel.Status == "open":
			fix = seaworthy.FixNone
			if rel.Reason == "ignored" || rel.Urgency == "end-of-life" || rel.Urgency == "unimportant" {
				fix = seaworthy.FixDeclined
			}
			a.Ranges = fixedIn("")
		case rel.Fixed == "0":
			notes = append(notes, "never affected")
		default:
			a.Ranges = fixedIn(rel.Fixed)
		}
		if rel.Urgency != "" {
			notes = append(notes, "urgency: "+rel.Urgency)
		}
		if rel.NoDSA != "" {
			notes = append(notes, "no-dsa: "+rel.NoDSA)
		}
		if rel.Reason != "" {
			notes = append(notes, rel.Reason)
		}
		e.affected, e.notes, e.fix = append(e.affected, a), append(e.notes, notes), append(e.fix, fix)
	}
	return e
}

// fixedIn is the range from the beginning to version, without end when version is "".
func fixedIn(version string) []osv.Range {
	events := []osv.Event{{Introduced: "0"}}
	if version != "" {
		events = append(events, osv.Event{Fixed: version})
	}
	return []osv.Range{{Type: "ECOSYSTEM", Events: events}}
}

// addAlpine adds a line of a secdb: an entry for each of its names.
func (b *builder) addAlpine(source int, f feed.AlpineFix) error {
	ecosystem := "Alpine:" + f.Distro
	if f.Distro == "" { // Wolfi's and Chainguard's files name no release
		ecosystem = "Wolfi"
		if f.Repo == "chainguard" {
			ecosystem = "Chainguard"
		}
	}
	a := osv.Affected{Package: osv.Package{Ecosystem: ecosystem, Name: f.Package}}
	var notes []string
	if f.Fixed == "0" {
		notes = []string{"never affected"}
	} else {
		a.Ranges = fixedIn(f.Fixed)
	}
	for _, id := range f.IDs {
		if len(id) > osv.MaxIDBytes {
			continue
		}
		e := entry{id: id, affected: []osv.Affected{a}, notes: [][]string{notes}, fix: []seaworthy.Fix{""}}
		if err := b.add(source, &e); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addKEV(source int, k feed.KEVEntry) {
	if n, ok := feed.CVENumber(k.ID); ok {
		b.kev[n] = k.Fact
		b.sources[source].Facts++
	}
}

func (b *builder) addEPSS(source int, e feed.EPSSEntry) {
	if n, ok := feed.CVENumber(e.ID); ok {
		b.epss[n] = [2]uint32{
			uint32(math.Round(e.Fact.Probability * epssUnits)), uint32(math.Round(e.Fact.Percentile * epssUnits)),
		}
		b.sources[source].Facts++
	}
}
