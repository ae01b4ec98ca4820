//go:build kube

package kube

import (
	"strings"
	"testing"
)

// Policies with a mistake are refused when they are applied, with the path of the field; those with none are not,
// whatever their version.
func TestPoliciesAreReadWhenTheyAreApplied(t *testing.T) {
	sea.gate(t)
	const head = `{"apiVersion":"policy.sigstore.dev/VERSION","kind":"ClusterImagePolicy","metadata":{"name":"read"},"spec":`
	const images = `"images":[{"glob":"read.example/**"}]`
	key := `{"key":{"data":` + quoted(sea.key(t, "release")) + `}}`
	const gone = `{"key":{"data":"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}}`
	const keyless = `"keyless":{"identities":[{"issuer":"https://i.example","subject":"a@example.com"}]}`
	const static = `"static":{"action":"pass"}`
	cip := func(spec string) string { return strings.Replace(head, "VERSION", "v1beta1", 1) + "{" + spec + "}}" }
	authorities := func(a string) string { return cip(images + `,"authorities":[` + a + `]`) }
	until(t, "policies are read", func() (bool, string) {
		out, err := shared.kubectl(t, authorities(`{}`), "create", "--dry-run=server", "-f", "-")
		return err != nil && strings.Contains(out, "policies.gate.seaworthy.dev"), out
	})
	for name, c := range map[string]struct {
		object string
		words  []string
	}{
		"no images":                    {cip(`"authorities":[{` + static + `}]`), []string{"spec", "images"}},
		"images are empty":             {cip(`"images":[],"authorities":[{` + static + `}]`), []string{"spec.images"}},
		"no glob":                      {cip(`"images":[{}],"authorities":[{` + static + `}]`), []string{"spec.images[0]"}},
		"an empty glob":                {cip(`"images":[{"glob":""}],"authorities":[{` + static + `}]`), []string{"spec.images[0].glob"}},
		"a bad glob":                   {cip(`"images":[{"glob":"["}],"authorities":[{` + static + `}]`), []string{"spec.images[0].glob"}},
		"an unknown mode":              {cip(images + `,"mode":"maybe","authorities":[{` + static + `}]`), []string{"spec.mode"}},
		"a misspelt field":             {cip(images + `,"autorities":[{` + static + `}]`), []string{"spec.autorities", "authorities"}},
		"an authority of nothing":      {authorities(`{}`), []string{"spec.authorities[0]"}},
		"key and keyless":              {authorities(`{"key":{"data":"x"},` + keyless + `}`), []string{"spec.authorities[0]"}},
		"key and static":               {authorities(`{"key":{"data":"x"},` + static + `}`), []string{"spec.authorities[0]"}},
		"the second authority":         {authorities(key + `,{}`), []string{"spec.authorities[1]"}},
		"a key from two places":        {authorities(`{"key":{"data":"x","secretRef":{"name":"y"}}}`), []string{"spec.authorities[0].key"}},
		"a key from nowhere":           {authorities(`{"key":{}}`), []string{"spec.authorities[0].key"}},
		"a key that is none":           {authorities(gone), []string{"spec.authorities[0].key.data"}},
		"a kms that is none":           {authorities(`{"key":{"kms":"nonsense"}}`), []string{"spec.authorities[0].key.kms"}},
		"an unknown hash":              {authorities(strings.Replace(key, `{"data"`, `{"hashAlgorithm":"md5","data"`, 1)), []string{"spec.authorities[0].key.hashAlgorithm"}},
		"keyless of nobody":            {authorities(`{"keyless":{}}`), []string{"spec.authorities[0].keyless"}},
		"keyless, no identities":       {authorities(`{"keyless":{"identities":[]}}`), []string{"spec.authorities[0].keyless"}},
		"an empty identity":            {authorities(`{"keyless":{"identities":[{}]}}`), []string{"spec.authorities[0].keyless.identities[0]"}},
		"issuer twice":                 {authorities(`{"keyless":{"identities":[{"issuer":"a","issuerRegExp":"b","subject":"c"}]}}`), []string{"spec.authorities[0].keyless.identities[0]"}},
		"subject twice":                {authorities(`{"keyless":{"identities":[{"issuer":"a","subject":"c","subjectRegExp":"d"}]}}`), []string{"spec.authorities[0].keyless.identities[0]"}},
		"a bad expression":             {authorities(`{"keyless":{"identities":[{"issuer":"a","subjectRegExp":"("}]}}`), []string{"spec.authorities[0].keyless.identities[0].subjectRegExp"}},
		"a static answer of no kind":   {authorities(`{"static":{"action":"perhaps"}}`), []string{"spec.authorities[0].static.action"}},
		"static with attestations":     {authorities(`{` + static + `,"attestations":[{"name":"a","predicateType":"custom"}]}`), []string{"spec.authorities[0]"}},
		"static with a source":         {authorities(`{` + static + `,"source":[{"oci":"x.example/y"}]}`), []string{"spec.authorities[0]"}},
		"static with a log":            {authorities(`{` + static + `,"ctlog":{"url":"https://x.example"}}`), []string{"spec.authorities[0]"}},
		"static with a timestamp":      {authorities(`{` + static + `,"rfc3161timestamp":{"trustRootRef":"x"}}`), []string{"spec.authorities[0]"}},
		"a source that is none":        {authorities(strings.Replace(key, `}}`, `},"source":[{"oci":"a b"}]}`, 1)), []string{"spec.authorities[0].source[0]"}},
		"an unknown format":            {authorities(strings.Replace(key, `}}`, `},"signatureFormat":"wax"}`, 1)), []string{"spec.authorities[0].signatureFormat"}},
		"an attestation with no name":  {authorities(strings.Replace(key, `}}`, `},"attestations":[{"predicateType":"custom"}]}`, 1)), []string{"spec.authorities[0].attestations[0]"}},
		"an attestation of nothing":    {authorities(strings.Replace(key, `}}`, `},"attestations":[{"name":"a"}]}`, 1)), []string{"spec.authorities[0].attestations[0].predicateType"}},
		"a policy of no kind":          {authorities(strings.Replace(key, `}}`, `},"attestations":[{"name":"a","predicateType":"custom","policy":{"type":"prolog","data":"x"}}]}`, 1)), []string{"spec.authorities[0].attestations[0].policy.type"}},
		"a policy without text":        {authorities(strings.Replace(key, `}}`, `},"attestations":[{"name":"a","predicateType":"custom","policy":{"type":"cue"}}]}`, 1)), []string{"spec.authorities[0].attestations[0].policy"}},
		"a policy from two places":     {cip(images + `,"authorities":[` + key + `],"policy":{"type":"cue","data":"x","configMapRef":{"name":"a","key":"b"}}`), []string{"spec.policy"}},
		"CUE that is none":             {cip(images + `,"authorities":[` + key + `],"policy":{"type":"cue","data":"{{{"}`), []string{"spec.policy.data"}},
		"Rego that is none":            {cip(images + `,"authorities":[` + key + `],"policy":{"type":"rego","data":"not rego"}`), []string{"spec.policy.data"}},
		"Rego that reaches out":        {cip(images + `,"authorities":[` + key + `],"policy":{"type":"rego","data":"package sigstore\nisCompliant { http.send({}) }"}`), []string{"spec.policy.data", "http.send"}},
		"a policy from afar":           {cip(images + `,"authorities":[` + key + `],"policy":{"type":"cue","remote":{"url":"http://x.example/p"}}`), []string{"spec.policy.remote"}},
		"a selector that is none":      {cip(images + `,"match":[{"group":"apps","version":"v1","resource":"deployments","selector":{"matchExpressions":[{"key":"a","operator":"Near"}]}}],"authorities":[` + key + `]`), []string{"spec.match[0].selector"}},
		"a trust root from nowhere":    {`{"apiVersion":"policy.sigstore.dev/v1alpha1","kind":"TrustRoot","metadata":{"name":"read"},"spec":{}}`, []string{"spec"}},
		"a trust root from two places": {`{"apiVersion":"policy.sigstore.dev/v1alpha1","kind":"TrustRoot","metadata":{"name":"read"},"spec":{"remote":{"mirror":"https://x.example","root":"AAAA"},"sigstoreKeys":{}}}`, []string{"spec"}},
		"a verifier of nothing":        {`{"apiVersion":"config.ratify.deislabs.io/v1beta1","kind":"Verifier","metadata":{"name":"read"},"spec":{"name":"x","artifactTypes":"application/spdx+json","type":"x/../y"}}`, []string{"spec"}},
		"a policy of our own":          {`{"apiVersion":"seaworthy.dev/v1alpha1","kind":"Policy","metadata":{"name":"read"},"spec":{"nonsense":1}}`, []string{"spec.nonsense"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := shared.refused(t, append([]string{"policies.gate.seaworthy.dev", "the policy is not sound"}, c.words...), c.object, "create", "--dry-run=server", "-f", "-")
			if testing.Verbose() {
				t.Log(out)
			}
		})
	}
	for name, object := range map[string]string{
		"key":                          authorities(key),
		"static":                       authorities(`{` + static + `}`),
		"keyless":                      authorities(`{` + keyless + `}`),
		"rego":                         cip(images + `,"authorities":[` + key + `],"policy":{"type":"rego","data":"package sigstore\nisCompliant { true }"}`),
		"v1alpha1":                     strings.Replace(authorities(key), "v1beta1", "v1alpha1", 1),
		"a secret that may come later": authorities(`{"key":{"secretRef":{"name":"later"}}}`),
		"match":                        cip(images + `,"match":[{"group":"apps","version":"v1","resource":"deployments","selector":{"matchLabels":{"a":"b"}}}],"authorities":[` + key + `]`),
	} {
		t.Run("sound: "+name, func(t *testing.T) {
			out := shared.must(t, object, "create", "--dry-run=server", "-f", "-")
			if later := strings.Contains(name, "later"); later != strings.Contains(out, "Warning: spec.authorities[0].key.secretRef") {
				t.Errorf("%s", out)
			}
		})
	}
}
