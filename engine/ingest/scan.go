package ingest

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/grade"
)

// readScan reads a scan report of our own.
func (r *reader) readScan(body []byte) error {
	report, err := grade.ReadReport(bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.doc.Kind, r.doc.Format, r.doc.Name = seaworthy.ScanDocument, "seaworthy scan", cmp.Or(report.Name, report.Target)
	by := strings.TrimSpace(report.Tool.Name + " " + report.Tool.Version)
	about := r.scanned(report)
	if about.Kind != "" {
		r.describes(about, "name", cmp.Or(report.Name, report.Target))
		if report.Grade.Letter != "" {
			r.say(about, seaworthy.SaysRated, r.subject(), "by", by, "points", number(report.Grade.Points), "score", report.Grade.Letter, "time", stamp(report.At), "type", "grade")
		}
	}
	for _, list := range [][]seaworthy.Finding{report.Findings, report.Suppressed} {
		for i := range list {
			r.finding(&list[i], about, by, stamp(report.At))
		}
	}
	return nil
}

// scanned is what a report is about: an image or file, a package, or the document whose packages were matched.
func (r *reader) scanned(report *grade.Report) seaworthy.Subject {
	if d, ok := strings.CutPrefix(report.Target, billTarget); ok {
		if parsed, err := seaworthy.ParseDigest(d); err == nil {
			r.describes(documentOf(parsed))
		}
	}
	if d, err := seaworthy.ParseDigest(string(report.Digest)); err == nil {
		r.name(artifact(d), report.Name)
		return artifact(d)
	}
	if pkg, ok := r.packageNamed(report.PURL); ok {
		return pkg
	}
	if isImageName(report.Target) {
		return imageResource(report.Target, "")
	}
	return seaworthy.Subject{}
}

// finding says that a package is affected, or is not where it was scanned: that somebody has looked at it there says
// nothing of it elsewhere, so without a product it is not said at all.
func (r *reader) finding(f *seaworthy.Finding, about seaworthy.Subject, by, at string) {
	product := ""
	if f.Status != "" && f.Status != seaworthy.Affected {
		product = about.Key
	}
	if f.ID == "" || product == "" && takesAway(f.Status) > 0 {
		return
	}
	v := vulnerability(f.ID)
	for _, alias := range f.Aliases {
		r.say(v, seaworthy.SaysSame, vulnerability(alias), "why", "alias")
	}
	o, ok := r.packageNamed(f.Package)
	if !ok {
		if f.Name == "" {
			return
		}
		x := billPage{page: r.page}
		o = x.generic(f.Name, f.Version)
	}
	justification, impact := "", ""
	if f.Suppressed != nil {
		justification, impact = f.Suppressed.Justification, f.Suppressed.Impact
		by = cmp.Or(f.Suppressed.By, by)
	}
	r.say(v, seaworthy.SaysAffects, o, "by", by, "fixed", f.Fixed, "impact", impact, "justification", justification, "product", product, "range", f.Range,
		"severity", f.Severity.String(), "status", cmp.Or(string(f.Status), string(seaworthy.Affected)), "time", at)
	r.rateVulnerability(v, f)
}

// rateVulnerability says how bad a vulnerability is. One statement has all of it: score is that of CVSS.
func (r *reader) rateVulnerability(v seaworthy.Subject, f *seaworthy.Finding) {
	epss, kev, kind := "", "", ""
	if f.Score > 0 || f.Vector != "" {
		kind = "cvss"
	}
	if f.EPSS != nil {
		epss, kind = number(f.EPSS.Probability), cmp.Or(kind, "epss")
	}
	if f.KEV != nil {
		kev, kind = cmp.Or(f.KEV.Added, "listed"), cmp.Or(kind, "kev")
	}
	if kind == "" {
		return
	}
	score := ""
	if f.Score > 0 {
		score = number(f.Score)
	}
	r.say(v, seaworthy.SaysRated, r.subject(), "epss", epss, "kev", kev, "score", score, "severity", f.Severity.String(), "type", kind, "vector", f.Vector)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
