package trace

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
)

// What is known of the images of an index is told of the index, and what is missing of each.
func TestIndex(t *testing.T) {
	index, amd, arm, attestations := seaworthy.SHA256([]byte("index")), seaworthy.SHA256([]byte("amd64")), seaworthy.SHA256([]byte("arm64")), seaworthy.SHA256([]byte("attestations"))
	m := graphOf(t,
		entry("index", seaworthy.ManifestDocument, day(1), nil,
			says(doc("index"), seaworthy.SaysDescribes, index, "type", "index"),
			says(index, seaworthy.SaysContains, amd, "platform", "linux/amd64"), says(index, seaworthy.SaysContains, arm, "platform", "linux/arm64"),
			says(index, seaworthy.SaysContains, attestations, "platform", "unknown/unknown")),
		entry("provenance", seaworthy.ProvenanceDocument, day(2), []string{ciKey}, says(doc("provenance"), seaworthy.SaysDescribes, amd), says(amd, seaworthy.SaysBuiltBy, "builder:https://ci.example/run")),
		entry("amd bill", seaworthy.BillDocument, day(2), []string{ciKey}, says(doc("amd bill"), seaworthy.SaysDescribes, amd), says(amd, seaworthy.SaysContains, leftPad)),
		entry("arm bill", seaworthy.BillDocument, day(2), []string{ciKey}, says(doc("arm bill"), seaworthy.SaysDescribes, arm), says(arm, seaworthy.SaysContains, evil)),
	)
	a := ask(t, m, Question{Verb: "artifact", Subject: string(index)})
	wholeAnswer(t, a)
	for at, want := range map[int]string{1: "warn of 1 of 2 images, signed of 1", 2: "good of 2 of 2 images, signed of 2"} {
		if got := a.Tiles[at].State + " " + a.Tiles[at].Text; got != want {
			t.Errorf("%s: %q, want %q", a.Tiles[at].Name, got, want)
		}
	}
	a = ask(t, m, Question{Verb: "provenance", Subject: string(index)})
	wholeAnswer(t, a)
	none := "- " + arm.Short() + " | ∅ no attestation |  |  |  |  | "
	want := []string{"- " + index.Short() + " | of 1 of 2 images |  |  |  |  | ", "+ " + amd.Short() + " | provenance 1 | https://ci.example/run | ∅ no source |  |  | ci@example.com", none}
	if diff := cmp.Diff(want, cells(a)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	missing := []string{amd.Short() + ": source", arm.Short() + ": attestation"}
	slices.Sort(missing)
	if diff := cmp.Diff(missing, gaps(a)); diff != "" {
		t.Error(diff)
	}
}
