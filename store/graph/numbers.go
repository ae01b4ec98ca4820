package graph

import (
	"slices"

	"github.com/seaworthy-dev/seaworthy"
)

// Predicates and kinds are kept as their places in the closed lists, from 1.
var (
	predicates    = seaworthy.Predicates()
	kinds         = seaworthy.SubjectKinds()
	documentKinds = []seaworthy.DocumentKind{
		seaworthy.BillDocument, seaworthy.ProvenanceDocument, seaworthy.SignatureDocument, seaworthy.VEXDocument,
		seaworthy.ScanDocument, seaworthy.ScorecardDocument, seaworthy.ManifestDocument, seaworthy.VerdictDocument,
		seaworthy.StatementDocument,
	}
	numberOfFile = numberOfPredicate(seaworthy.SaysHasFile)
)

// numberOfPredicate is 0 for one that is not in the list.
func numberOfPredicate(p seaworthy.Predicate) byte { return byte(slices.Index(predicates, p) + 1) }

// numberOfKind is 0 for one that is not in the list.
func numberOfKind(k seaworthy.SubjectKind) byte { return byte(slices.Index(kinds, k) + 1) }

// predicateOf is "" for a number that is not in the list.
func predicateOf(n byte) seaworthy.Predicate {
	if n == 0 || int(n) > len(predicates) {
		return ""
	}
	return predicates[n-1]
}

// kindOf is "" for a number that is not in the list.
func kindOf(n byte) seaworthy.SubjectKind {
	if n == 0 || int(n) > len(kinds) {
		return ""
	}
	return kinds[n-1]
}

// numbersOf gives the numbers of predicates in ascending order; nil is all of them. Errors: Invalid.
func numbersOf(ps []seaworthy.Predicate) ([]byte, error) {
	if ps == nil {
		ps = predicates
	}
	ns := make([]byte, 0, len(ps))
	for _, p := range ps {
		n := numberOfPredicate(p)
		if n == 0 {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "asking for statements: there is no predicate %q", p)
		}
		ns = append(ns, n)
	}
	slices.Sort(ns)
	return slices.Compact(ns), nil
}

// kindNumbers gives the numbers of kinds in ascending order; nil is all of them. Errors: Invalid.
func kindNumbers(ks []seaworthy.SubjectKind) ([]byte, error) {
	if ks == nil {
		ks = kinds
	}
	ns := make([]byte, 0, len(ks))
	for _, k := range ks {
		n := numberOfKind(k)
		if n == 0 {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "asking for subjects: there is no kind %q", k)
		}
		ns = append(ns, n)
	}
	slices.Sort(ns)
	return slices.Compact(ns), nil
}
