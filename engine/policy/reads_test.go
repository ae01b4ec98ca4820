package policy

import "testing"

func TestReadsWorkload(t *testing.T) {
	const cip = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: a}\nspec:\n  images: [{glob: '**'}]\n  authorities: [{static: {action: pass}}]\n"
	const short = "apiVersion: seaworthy.dev/v1alpha1\nkind: Policy\nmetadata: {name: a}\nspec:\n"
	for text, want := range map[string]bool{
		cip: false,
		cip + "  policy: {type: cue, data: 'spec: {}', includeSpec: true}\n":                          true,
		cip + "  policy: {type: cue, data: 'metadata: {}', includeObjectMeta: true}\n":                true,
		cip + "  policy: {type: cue, data: 'typemeta: {}', includeTypeMeta: true}\n":                  false,
		short + "  pinnedByDigest: true\n":                                                            false,
		short + "  selector: {matchLabels: {a: b}}\n  pinnedByDigest: true\n":                         false,
		short + "  when: 'image.registry == \"a\"'\n  pinnedByDigest: true\n":                         false,
		short + "  when: 'workload.name == \"a\"'\n  pinnedByDigest: true\n":                          true,
		short + "  rules: [{name: r, expression: 'image.tag != \"latest\"'}]\n":                       false,
		short + "  rules: [{name: r, expression: '!has(object.spec.hostNetwork)'}]\n":                 true,
		cip + "---\n" + short + "  rules: [{name: r, expression: '!has(object.spec.hostNetwork)'}]\n": true,
	} {
		s, mistakes := Load([]File{{"a.yaml", []byte(text)}}, Options{})
		for _, m := range mistakes {
			if !m.Warning {
				t.Errorf("%s", m.Error())
			}
		}
		if got := s.ReadsWorkload(); got != want {
			t.Errorf("%s: got %t", text, got)
		}
	}
}
