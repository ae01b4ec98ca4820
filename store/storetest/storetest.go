// Package storetest is the contract of graph.Store as tests, which every engine must pass, and what they need: small
// worlds of documents that overlap, generated histories, a graph of any size, a PostgreSQL of one's own.
//
//	func TestFolder(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) graph.Store { … })
//	}
//
// Every engine is compared with graph.Memory, the plainest one: after the same calls it must give the same answers,
// to every question, on pages of every size.
package storetest

import (
	"testing"

	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// Run runs the contract against the engine that open gives, each time an empty one. It is closed by the test that
// opened it.
func Run(t *testing.T, open func(t testing.TB) graph.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, graph.Store)
	}{
		{"entries", entries},
		{"frontiers", frontiers},
		{"refusals", refusals},
		{"finding", finding},
		{"listing", listing},
		{"counting", counting},
		{"jobs", jobs},
		{"writers", writers},
		{"rebuild", rebuild},
		{"backup", backup},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			test.run(t, s)
			if err := s.Close(); err != nil {
				t.Error("closing:", err)
			}
		})
	}
}
