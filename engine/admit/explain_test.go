package admit

import (
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

var refused = seaworthy.Verdict{
	Image: "registry.example/app:1", Digest: seaworthy.SHA256(nil), Namespace: "prod",
	Policies: []seaworthy.PolicyResult{
		{Policy: "signed", Mode: seaworthy.Enforce, Passed: true, Rules: []seaworthy.RuleResult{{
			Rule: "signed by ci", Passed: true, Reason: "it is",
			Evidence: []seaworthy.EvidenceNamed{{Document: seaworthy.SHA256([]byte("x")), Kind: "signature", Source: "referrers sha256:1", Signers: []string{"ci@example.com", "key sha256:2"}}},
		}}},
		{Policy: "bills", Mode: seaworthy.Enforce, Rules: []seaworthy.RuleResult{
			{Rule: "bill present", Reason: "nobody says what is in it", Missing: []string{"a bill", "its signature"}, Fix: "seaworthy attest"},
			{Rule: "packages", Code: seaworthy.Unavailable, Reason: "the registry \x1b[31mis down"},
		}},
		{Policy: "soon", Mode: seaworthy.Warn, Rules: []seaworthy.RuleResult{{Rule: "r", Reason: "not yet"}}},
		{Policy: "later", Mode: seaworthy.DryRun, Rules: []seaworthy.RuleResult{{Rule: "r", Reason: "not yet"}}},
	},
	Warnings: []string{"policy soon: not yet"},
}

func TestExplain(t *testing.T) {
	const want = `registry.example/app:1 may not sail
  digest     sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
  namespace  prod

  policy signed passes
    yes  signed by ci: it is
         rests on  signature sha256:2d711642b726, found as referrers sha256:1, signed by ci@example.com and key sha256:2

  policy bills refuses
    no   bill present: nobody says what is in it
         missing   a bill
         missing   its signature
         to mend   seaworthy attest
    ?    packages: the registry \u001b[31mis down

  policy soon warns
    no   r: not yet

  policy later would refuse
    no   r: not yet

  warning: policy soon: not yet
`
	var b strings.Builder
	if err := Explain(&b, &refused, nil); err != nil {
		t.Fatal(err)
	}
	if got := strings.ReplaceAll(b.String(), `\x1b`, `\u001b`); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestMessage(t *testing.T) {
	const want = `[seaworthy] image registry.example/app:1 (sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855) may not sail: ` +
		`policy bills: rule bill present: nobody says what is in it; missing: a bill, its signature; to mend: seaworthy attest; and rule packages: the registry `
	if got := Message(&refused); !strings.HasPrefix(got, want) || strings.Contains(got, "\x1b") {
		t.Errorf("got %s", got)
	}
	if got := Message(&seaworthy.Verdict{Image: "a"}); got != "[seaworthy] image a may not sail: no policy lets it" {
		t.Errorf("got %s", got)
	}
}
