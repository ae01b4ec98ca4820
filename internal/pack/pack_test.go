package pack

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type inner struct {
	Name string
	Tags []string
}

type outer struct {
	N     int64
	U     uint32
	Yes   bool
	Sum   [4]byte
	In    inner
	Ptr   *inner
	Nil   *inner
	Many  []inner
	At    time.Time
	Empty []string
}

func sample() outer {
	return outer{
		N: -5, U: 1 << 30, Yes: true, Sum: [4]byte{1, 2, 3, 255}, In: inner{Name: "a\x00b", Tags: []string{"x", ""}},
		Ptr: &inner{Name: "p"}, Many: []inner{{Name: "1"}, {Tags: []string{"t"}}}, At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	var got outer
	if err := Decode(Append(nil, want), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decoded value differs (-want +got):\n%s", diff)
	}
}

func TestFingerprintFollowsFields(t *testing.T) {
	type a struct{ X, Y string }
	type b struct{ Y, X string }
	if Fingerprint(a{}) == Fingerprint(b{}) {
		t.Error("types with other fields have one fingerprint")
	}
	if Fingerprint(outer{}) != Fingerprint(sample()) {
		t.Error("fingerprint depends on the value")
	}
}

func FuzzDecode(f *testing.F) {
	b := Append(nil, sample())
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var got outer
		if Decode(b, &got) == nil {
			var again outer
			if err := Decode(Append(nil, got), &again); err != nil {
				t.Fatalf("what was decoded does not encode: %v", err)
			}
		}
	})
}
