package policy

import (
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// good is a policy that every case of TestMistakes changes a little.
const goodPolicy = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: p
spec:
  images:
  - glob: "**"
  authorities:
  - name: a
    keyless:
      identities:
      - issuer: https://issuer.example
        subject: ci@example.com
`

// cip is a policy of v1beta1 with a spec.
func cip(spec string) string {
	return "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: p}\nspec:\n" + spec
}

// authority is a policy with one authority.
func withAuthority(text string) string {
	return cip("  images: [{glob: '**'}]\n  authorities: [" + text + "]\n")
}

const keyless = `keyless: {identities: [{issuer: "https://issuer.example", subject: a}]}`

// attested is a policy with one attestation.
func attested(text string) string {
	return withAuthority("{" + keyless + ", attestations: [" + text + "]}")
}

// TestMistakes: every policy that is wrong is refused, at the field that is wrong.
func TestMistakes(t *testing.T) {
	pem := strings.ReplaceAll(string(newKey(t).Public().PEM()), "\n", "\\n")
	const short = "apiVersion: seaworthy.dev/v1alpha1\nkind: Policy\nmetadata: {name: p}\nspec: "
	const verifier = "apiVersion: config.ratify.deislabs.io/v1beta1\nkind: Verifier\nmetadata: {name: v}\nspec: "
	const trustRoot = "apiVersion: policy.sigstore.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: r}\nspec: "
	for _, tc := range []struct{ name, text, path, want string }{
		// files
		{"no YAML", "a: [", "", "should be YAML"},
		{"no object", "- 1", "", "is no object"},
		{"text", "hello", "", "is no object"},
		{"no kind", "apiVersion: v1", "kind", "must be given"},
		{"another kind", "kind: Pod\napiVersion: v1", "kind", `no kind "Pod"`},
		{"a kind with a typo", "kind: ClusterImagePolicys\napiVersion: policy.sigstore.dev/v1beta1", "kind", "ClusterImagePolicy"},
		{"Gatekeeper's", "kind: ConstraintTemplate\napiVersion: templates.gatekeeper.sh/v1", "kind", "are not read"},
		{"Ratify's others", "kind: Store\napiVersion: config.ratify.deislabs.io/v1beta1", "kind", "are not read"},
		{"another version", strings.Replace(goodPolicy, "v1beta1", "v1", 1), "apiVersion", "is not read"},
		{"no version", strings.Replace(goodPolicy, "apiVersion: policy.sigstore.dev/v1beta1", "", 1), "apiVersion", "must be given"},
		{"no name", strings.Replace(goodPolicy, "name: p", "namespace: p", 1), "metadata.name", "must be given"},
		{"no spec", "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: p}", "spec", "must be given"},
		{"a field that is not there", goodPolicy + "extra: 1\n", "extra", `no field "extra"`},
		{"a field of spec with a typo", strings.Replace(goodPolicy, "authorities", "authorites", 1), "spec.authorites", "authorities"},
		{"a field twice", goodPolicy + "  images: [{glob: x**}]\n", "spec.images", "twice"},
		{"a merge key", cip("  <<: {a: 1}\n"), "spec.<<", "merge keys"},
		{"the same name twice", goodPolicy + "---\n" + goodPolicy, "metadata.name", "of this name"},
		{"too many values", cip("  images: [{glob: x}]\n  match: [" + strings.Repeat("{resource: pods},", 60_000) + "]\n"), "spec.match", "more than 100000 values"},
		{"values that aliases repeat", cip("  images: [{glob: x}]\n  match: [{resource: pods, selector: {matchExpressions: &i [" + strings.Repeat("{key: a, operator: Exists},", 200) + "]}}," + strings.Repeat("{resource: pods, selector: {matchExpressions: *i}},", 400) + "]\n"), "spec.match", "more than 100000 values"},
		{"too many mistakes", cip("  images: [" + strings.Repeat("{glob: '['},", 400) + "]"), "", "more mistakes"},
		{"too many authorities", withAuthority(strings.Repeat("{static: {action: pass}},", 200)), "spec.authorities", "the limit is 100"},

		// images
		{"no images", cip("  authorities: [{static: {action: pass}}]"), "spec.images", "must be given"},
		{"empty images", cip("  images: []\n  authorities: [{static: {action: pass}}]"), "spec.images", "must be given"},
		{"an image without glob", cip("  images: [{}]\n  authorities: [{static: {action: pass}}]"), "spec.images[0].glob", "must be given"},
		{"a bad glob", cip("  images: [{glob: 'a['}]\n  authorities: [{static: {action: pass}}]"), "spec.images[0].glob", "is no glob"},
		{"a regular expression for a glob", cip("  images: [{glob: '^ghcr.io/.*$'}]\n  authorities: [{static: {action: pass}}]"), "spec.images[0].glob", "is no glob"},
		{"regex", cip("  images: [{regex: '.*'}]\n  authorities: [{static: {action: pass}}]"), "spec.images[0].regex", `no field "regex"`},
		{"images that are a string", cip("  images: '**'\n  authorities: [{static: {action: pass}}]"), "spec.images", "want a list"},
		{"a number for a glob", cip("  images: [{glob: 1}]\n  authorities: [{static: {action: pass}}]"), "spec.images[0].glob", "not a string"},

		// the policy
		{"no authorities", cip("  images: [{glob: '**'}]"), "spec.authorities", "must be given"},
		{"empty authorities", cip("  images: [{glob: '**'}]\n  authorities: []"), "spec.authorities", "must be given"},
		{"an unknown mode", goodPolicy + "  mode: audit\n", "spec.mode", `no "audit"`},
		{"an unknown resource", goodPolicy + "  match: [{resource: podz}]\n", "spec.match[0].resource", "pods"},
		{"a selector without resource", goodPolicy + "  match: [{selector: {matchLabels: {a: b}}}]\n", "spec.match[0].selector", "needs a resource"},
		{"an unknown operator", goodPolicy + "  match: [{resource: pods, selector: {matchExpressions: [{key: a, operator: Is}]}}]\n", "spec.match[0].selector.matchExpressions[0].operator", `no "Is"`},
		{"no operator", goodPolicy + "  match: [{resource: pods, selector: {matchExpressions: [{key: a}]}}]\n", "spec.match[0].selector.matchExpressions[0].operator", "must be given"},
		{"an operator without values", goodPolicy + "  match: [{resource: pods, selector: {matchExpressions: [{key: a, operator: In}]}}]\n", "spec.match[0].selector.matchExpressions[0].values", "needs values"},
		{"values where there are none", goodPolicy + "  match: [{resource: pods, selector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}]\n", "spec.match[0].selector.matchExpressions[0].values", "takes no values"},
		{"an annotation's word", strings.Replace(goodPolicy, "name: p", "name: p\n  annotations: {seaworthy.dev/fail-mode: shut}", 1), "metadata.annotations.seaworthy.dev/fail-mode", `no "shut"`},

		// authorities
		{"an authority of nothing", withAuthority("{name: a}"), "spec.authorities[0]", "one of key, keyless, static must be given"},
		{"key and keyless", withAuthority("{key: {data: x}, " + keyless + "}"), "spec.authorities[0]", "only one of key, keyless, static"},
		{"key and static", withAuthority("{key: {data: x}, static: {action: pass}}"), "spec.authorities[0]", "not key and static"},
		{"all three", withAuthority("{key: {data: x}, " + keyless + ", static: {action: pass}}"), "spec.authorities[0]", "key and keyless and static"},
		{"two of one name", withAuthority("{name: a, static: {action: pass}}, {name: a, static: {action: pass}}"), "spec.authorities[1]", `two authorities "a"`},
		{"a typo", withAuthority("{keyles: {}, static: {action: pass}}"), "spec.authorities[0].keyles", "keyless"},
		{"an unknown format", withAuthority("{" + keyless + ", signatureFormat: notation}"), "spec.authorities[0].signatureFormat", `no "notation"`},

		// static
		{"static of nothing", withAuthority("{static: {}}"), "spec.authorities[0].static.action", "must be given"},
		{"an unknown action", withAuthority("{static: {action: maybe}}"), "spec.authorities[0].static.action", `no "maybe"`},
		{"static with attestations", withAuthority("{static: {action: pass}, attestations: [{name: a, predicateType: spdx}]}"), "spec.authorities[0].attestations", "static authority verifies nothing"},
		{"static with a source", withAuthority("{static: {action: pass}, source: [{oci: a.example/b}]}"), "spec.authorities[0].source", "static authority verifies nothing"},
		{"static with a log", withAuthority("{static: {action: pass}, ctlog: {url: 'https://log.example'}}"), "spec.authorities[0].ctlog", "static authority verifies nothing"},
		{"static with a timestamp", withAuthority("{static: {action: pass}, rfc3161timestamp: {trustRootRef: r}}"), "spec.authorities[0].rfc3161timestamp", "static authority verifies nothing"},

		// key
		{"a key of nothing", withAuthority("{key: {}}"), "spec.authorities[0].key", "one of data, secretRef, kms"},
		{"data and kms", withAuthority("{key: {data: x, kms: 'gcpkms://a'}}"), "spec.authorities[0].key", "only one of"},
		{"data and secretRef", withAuthority("{key: {data: x, secretRef: {name: a}}}"), "spec.authorities[0].key", "only one of"},
		{"a bad PEM", withAuthority("{key: {data: '-----BEGIN PUBLIC KEY-----'}}"), "spec.authorities[0].key.data", "no public key"},
		{"a private key", withAuthority(`{key: {data: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}}`), "spec.authorities[0].key.data", "private"},
		{"kms", withAuthority("{key: {kms: 'awskms:///arn:aws:kms:us-east-1:1:key/2'}}"), "spec.authorities[0].key.kms", "key management service"},
		{"a secret without cluster", withAuthority("{key: {secretRef: {name: a}}}"), "spec.authorities[0].key.secretRef", "no cluster"},
		{"a secret without name", withAuthority("{key: {secretRef: {namespace: a}}}"), "spec.authorities[0].key.secretRef.name", "must be given"},
		{"an unknown hash", withAuthority(`{key: {data: "` + pem + `", hashAlgorithm: md5}}`), "spec.authorities[0].key.hashAlgorithm", `no "md5"`},
		{"a hash that is not verified", withAuthority(`{key: {data: "` + pem + `", hashAlgorithm: sha224}}`), "spec.authorities[0].key.hashAlgorithm", "not verified"},

		// keyless
		{"no identities", withAuthority("{keyless: {url: 'https://ca.example'}}"), "spec.authorities[0].keyless.identities", "must be given"},
		{"empty identities", withAuthority("{keyless: {identities: []}}"), "spec.authorities[0].keyless.identities", "must be given"},
		{"no issuer", withAuthority("{keyless: {identities: [{subject: a}]}}"), "spec.authorities[0].keyless.identities[0]", "one of issuer, issuerRegExp must be given"},
		{"no subject", withAuthority("{keyless: {identities: [{issuer: a}]}}"), "spec.authorities[0].keyless.identities[0]", "one of subject, subjectRegExp must be given"},
		{"issuer twice", withAuthority("{keyless: {identities: [{issuer: a, issuerRegExp: a, subject: b}]}}"), "spec.authorities[0].keyless.identities[0]", "only one of issuer, issuerRegExp"},
		{"subject twice", withAuthority("{keyless: {identities: [{issuer: a, subjectRegExp: a, subject: b}]}}"), "spec.authorities[0].keyless.identities[0]", "only one of subject, subjectRegExp"},
		{"a bad issuer", withAuthority("{keyless: {identities: [{issuerRegExp: '(', subject: b}]}}"), "spec.authorities[0].keyless.identities[0].issuerRegExp", "no regular expression"},
		{"a bad subject", withAuthority("{keyless: {identities: [{issuer: a, subjectRegExp: '['}]}}"), "spec.authorities[0].keyless.identities[0].subjectRegExp", "no regular expression"},
		{"a large subject", withAuthority("{keyless: {identities: [{issuer: a, subjectRegExp: '^(abcd){900}$'}]}}"), "spec.authorities[0].keyless.identities[0].subjectRegExp", "steps"},
		{"url and ca-cert", withAuthority("{keyless: {url: 'https://ca.example', ca-cert: {data: x}, identities: [{issuer: a, subject: b}]}}"), "spec.authorities[0].keyless", "only one of url, ca-cert"},
		{"ca-cert and trust root", withAuthority("{keyless: {trustRootRef: r, ca-cert: {data: x}, identities: [{issuer: a, subject: b}]}}"), "spec.authorities[0].keyless", "ca-cert, trustRootRef"},
		{"a bad ca-cert", withAuthority("{keyless: {ca-cert: {data: x}, identities: [{issuer: a, subject: b}]}}"), "spec.authorities[0].keyless.ca-cert.data", "no certificate"},
		{"a bad url", withAuthority("{keyless: {url: 'not a url', identities: [{issuer: a, subject: b}]}}"), "spec.authorities[0].keyless.url", "no address"},
		{"an unknown trust root", withAuthority("{keyless: {trustRootRef: nobody, identities: [{issuer: a, subject: b}]}}"), "spec.authorities[0].keyless.trustRootRef", "no sound TrustRoot"},
		{"an unknown log's root", withAuthority("{" + keyless + ", ctlog: {trustRootRef: nobody}}"), "spec.authorities[0].ctlog.trustRootRef", "no sound TrustRoot"},
		{"an unknown timestamper's root", withAuthority("{" + keyless + ", rfc3161timestamp: {trustRootRef: nobody}}"), "spec.authorities[0].rfc3161timestamp.trustRootRef", "no sound TrustRoot"},
		{"a bool that is none", withAuthority("{keyless: {insecureIgnoreSCT: 'yes', identities: [{issuer: a, subject: b}]}}"), "spec.authorities[0].keyless.insecureIgnoreSCT", "neither true nor false"},

		// source
		{"a source of nothing", withAuthority("{" + keyless + ", source: [{}]}"), "spec.authorities[0].source[0].oci", "must be given"},
		{"a source that is none", withAuthority("{" + keyless + ", source: [{oci: 'https://a/b'}]}"), "spec.authorities[0].source[0].oci", "is no repository"},
		{"a secret of nothing", withAuthority("{" + keyless + ", source: [{oci: a.example/b, signaturePullSecrets: [{}]}]}"), "spec.authorities[0].source[0].signaturePullSecrets[0].name", "must be given"},
		{"a bad tag prefix", withAuthority("{" + keyless + ", source: [{oci: a.example/b, tagPrefix: '/'}]}"), "spec.authorities[0].source[0].tagPrefix", "cannot begin a tag"},

		// attestations
		{"an attestation of nothing", attested("{}"), "spec.authorities[0].attestations[0].name", "must be given"},
		{"no type", attested("{name: a}"), "spec.authorities[0].attestations[0].predicateType", "must be given"},
		{"an unknown type", attested("{name: a, predicateType: sbom}"), "spec.authorities[0].attestations[0].predicateType", "no type of predicate"},
		{"a policy of nothing", attested("{name: a, predicateType: spdx, policy: {}}"), "spec.authorities[0].attestations[0].policy.type", "must be given"},
		{"an unknown policy type", attested("{name: a, predicateType: spdx, policy: {type: cel, data: 'true'}}"), "spec.authorities[0].attestations[0].policy.type", `no "cel"`},
		{"no policy text", attested("{name: a, predicateType: spdx, policy: {type: cue}}"), "spec.authorities[0].attestations[0].policy", "one of data, remote, configMapRef"},
		{"an empty policy", attested("{name: a, predicateType: spdx, policy: {type: cue, data: ''}}"), "spec.authorities[0].attestations[0].policy.data", "must be given"},
		{"data and remote", attested("{name: a, predicateType: spdx, policy: {type: cue, data: x, remote: {url: 'https://a'}}}"), "spec.authorities[0].attestations[0].policy", "only one of"},
		{"remote", attested("{name: a, predicateType: spdx, policy: {type: cue, remote: {url: 'https://a.example', sha256sum: aa}}}"), "spec.authorities[0].attestations[0].policy.remote", "not fetched from the network"},
		{"a config map without cluster", attested("{name: a, predicateType: spdx, policy: {type: cue, configMapRef: {name: a, key: b}}}"), "spec.authorities[0].attestations[0].policy.configMapRef", "no cluster"},
		{"a config map without key", attested("{name: a, predicateType: spdx, policy: {type: cue, configMapRef: {name: a}}}"), "spec.authorities[0].attestations[0].policy.configMapRef.key", "must be given"},
		{"broken CUE", attested("{name: a, predicateType: spdx, policy: {type: cue, data: 'predicate: {'}}"), "spec.authorities[0].attestations[0].policy.data", "reading the CUE policy"},
		{"broken Rego", attested("{name: a, predicateType: spdx, policy: {type: rego, data: 'package sigstore; x {'}}"), "spec.authorities[0].attestations[0].policy.data", "reading the Rego policy"},
		{"Rego of another package", attested("{name: a, predicateType: spdx, policy: {type: rego, data: 'package signature\n\nallow { true }'}}"), "spec.authorities[0].attestations[0].policy.data", "package"},
		{"the config file for an attestation", attested("{name: a, predicateType: spdx, policy: {type: cue, data: 'predicate: _', fetchConfigFile: true}}"), "spec.authorities[0].attestations[0].policy.fetchConfigFile", "only the policy of the whole"},
		{"the spec for an attestation", attested("{name: a, predicateType: spdx, policy: {type: cue, data: 'predicate: _', includeSpec: true}}"), "spec.authorities[0].attestations[0].policy.includeSpec", "only the policy of the whole"},
		{"a broken policy of the whole", goodPolicy + "  policy: {type: cue, data: '{'}\n", "spec.policy.data", "reading the CUE policy"},
		{"an unknown cueMode", goodPolicy + "  policy: {type: cue, data: 'authorityMatches: _', cueMode: lax}\n", "spec.policy.cueMode", `no "lax"`},

		// trust roots
		{"a root of nothing", trustRoot + "{}", "spec", "one of remote, repository, sigstoreKeys must be given"},
		{"two of them", trustRoot + "{sigstoreKeys: {}, remote: {}}", "spec", "only one of"},
		{"a mirror", trustRoot + "{remote: {root: e30=, mirror: 'https://tuf.example'}}", "spec.remote", "fetched over the network"},
		{"keys of nothing", trustRoot + "{sigstoreKeys: {}}", "spec.sigstoreKeys.certificateAuthorities", "must be given"},
		{"a chain that is none", trustRoot + "{sigstoreKeys: {certificateAuthorities: [{uri: 'https://ca.example', certChain: eA==}]}}", "spec.sigstoreKeys.certificateAuthorities[0].certChain", "is no PEM"},
		{"an authority without address", trustRoot + "{sigstoreKeys: {certificateAuthorities: [{certChain: eA==}]}}", "spec.sigstoreKeys.certificateAuthorities[0].uri", "must be given"},
		{"a log's key that is none", trustRoot + "{sigstoreKeys: {tLogs: [{baseURL: 'https://log.example', publicKey: '-----BEGIN X'}]}}", "spec.sigstoreKeys.tLogs[0].publicKey", "PEM"},
		{"a hash of logs", trustRoot + `{sigstoreKeys: {tLogs: [{baseURL: "https://log.example", hashAlgorithm: sha1, publicKey: "` + pem + `"}]}}`, "spec.sigstoreKeys.tLogs[0].hashAlgorithm", "is not read"},
		{"a repository that is none", trustRoot + "{repository: {root: '{}', mirrorFS: eA==}}", "spec.repository.mirrorFS", "no gzip"},
		{"a root that is none", trustRoot + "{repository: {root: '!', mirrorFS: eA==}}", "spec.repository.root", "no JSON"},

		// our own form
		{"nothing asked", short + "{}", "spec", "asks for nothing"},
		{"a typo of ours", short + "{pinnedByDigets: true}", "spec.pinnedByDigets", "pinnedByDigest"},
		{"images of nothing", short + "{images: [], pinnedByDigest: true}", "spec.images", "bind nothing"},
		{"an unknown mode of ours", short + "{mode: log, pinnedByDigest: true}", "spec.mode", `no "log"`},
		{"an unknown fail mode", short + "{failMode: shut, pinnedByDigest: true}", "spec.failMode", `no "shut"`},
		{"nobody", short + "{signedBy: []}", "spec.signedBy", "nobody is named"},
		{"any and all of nothing", short + "{signedBy: {}}", "spec.signedBy", "one of any, all"},
		{"a signer of nothing", short + "{signedBy: [{}]}", "spec.signedBy[0]", "one of issuer, issuerRegexp must be given"},
		{"a key and an identity", short + `{signedBy: [{key: "` + pem + `", issuer: a}]}`, "spec.signedBy[0].issuer", "not both"},
		{"a claim that is not there", short + "{signedBy: [{issuer: a, identity: b, claims: {colour: blue}}]}", "spec.signedBy[0].claims.colour", `no claim "colour"`},
		{"attested by nobody", short + "{attestedBy: [{type: spdx}]}", "spec.attestedBy[0]", "whose word is taken"},
		{"built by nothing", short + "{builtBy: {by: [{issuer: a, identity: b}]}}", "spec.builtBy.builders", "must be given"},
		{"built from nothing", short + "{builtFrom: {by: [{issuer: a, identity: b}]}}", "spec.builtFrom.sources", "must be given"},
		{"an unknown bill format", short + "{billPresent: {formats: [swid]}}", "spec.billPresent.formats[0]", `no "swid"`},
		{"an unknown severity", short + "{noFindingAbove: severe}", "spec.noFindingAbove", "severity"},
		{"no severity", short + "{noFindingAbove: {fixable: true}}", "spec.noFindingAbove.severity", "must be given"},
		{"a licence that is none", short + "{licences: {deny: [Foo-1.0]}}", "spec.licences", "no SPDX licence"},
		{"no licences", short + "{licences: {}}", "spec.licences", "one of allow"},
		{"no packages", short + "{packages: {}}", "spec.packages.deny", "must be given"},
		{"a package of nothing", short + "{packages: {deny: [{version: '1'}]}}", "spec.packages.deny[0]", "one of name, purl"},
		{"a purl that is none", short + "{packages: {deny: [{purl: golang/x}]}}", "spec.packages.deny[0].purl", "is no package URL"},
		{"versions that are none", short + "{packages: {deny: [{name: x, version: '~> 1'}]}}", "spec.packages.deny[0].version", "no range of versions"},
		{"a version twice", short + "{packages: {deny: [{purl: 'pkg:npm/x@1', version: '2'}]}}", "spec.packages.deny[0].purl", "twice"},
		{"a registry that is none", short + "{registries: ['https://a.example']}", "spec.registries[0]", "is no registry"},
		{"no registries", short + "{registries: []}", "spec.registries", "no image would pass"},
		{"a rule without expression", short + "{rules: [{name: a}]}", "spec.rules[0].expression", "must be given"},
		{"a rule that is no bool", short + "{rules: [{name: a, expression: '1'}]}", "spec.rules[0].expression", "want a bool"},
		{"a condition that asks", short + "{pinnedByDigest: true, when: findings.size() == 0}", "spec.when", "may not use findings"},
		{"a cueMode of Rego", short + "{attestedBy: [{type: spdx, by: [{issuer: a, identity: b}], policy: {type: rego, cueMode: strict, data: x}}]}", "spec.attestedBy[0].policy.cueMode", "only a cue policy"},

		// Ratify
		{"no types", verifier + "{name: a, parameters: {disAllowedLicenses: [MIT]}}", "spec.artifactTypes", "must be given"},
		{"a built-in verifier", verifier + "{name: cosign, artifactTypes: x}", "spec.name", "ClusterImagePolicy"},
		{"a plugin", verifier + "{name: mine, artifactTypes: x}", "spec.name", "no programs are run"},
		{"a long plugin", verifier + "{name: " + strings.Repeat("a", 129) + ", artifactTypes: x}", "spec.name", "cannot be the name of a plugin"},
		{"a path for a plugin", verifier + "{name: ../../bin/sh, artifactTypes: x}", "spec.name", "cannot be the name of a plugin"},
		{"neither name nor type", verifier + "{artifactTypes: x}", "spec", "one of name, type"},
		{"a parameter with a typo", verifier + "{name: a, artifactTypes: x, parameters: {disAllowedLicenses: [MIT], disAllowedPackage: []}}", "spec.parameters.disAllowedPackage", "disAllowedPackages"},
		{"a licence that is none", verifier + "{name: a, artifactTypes: x, parameters: {disAllowedLicenses: [Foo-1.0]}}", "spec.parameters.disAllowedLicenses", "no SPDX licence"},
		{"a package without name", verifier + "{name: a, artifactTypes: x, parameters: {disAllowedPackages: [{version: '1'}]}}", "spec.parameters.disAllowedPackages[0].name", "must be given"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, mistakes := Load([]File{{"test.yaml", []byte(tc.text)}}, Options{Root: publicRoot(t)})
			found := false
			for _, m := range mistakes {
				if (m.Path == tc.path || strings.Contains(tc.want, "more than 100000") && strings.HasPrefix(m.Path, tc.path)) && !m.Warning && strings.Contains(m.Detail+" "+m.Hint, tc.want) {
					found = true
					if m.File != "test.yaml" || m.Code == "" {
						t.Errorf("not said of the file: %+v", m)
					}
				}
			}
			if !found {
				t.Errorf("no mistake at %q with %q in:\n%s", tc.path, tc.want, lines(mistakes))
			}
			if n := len(s.Policies()); n > 0 && tc.name != "the same name twice" {
				t.Errorf("%d policies are in the set all the same", n)
			}
		})
	}
}

func lines(ms []Mistake) string {
	var b strings.Builder
	for _, m := range ms {
		b.WriteString(m.Error() + " [" + m.Hint + "]")
		if m.Warning {
			b.WriteString(" (warning)")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// TestWarnings: what works, but perhaps not as its author thinks.
func TestWarnings(t *testing.T) {
	for _, tc := range []struct{ name, text, path, want string }{
		{"*", cip("  images: [{glob: '*'}]\n  authorities: [{static: {action: pass}}]"), "spec.images[0].glob", "Docker Hub only"},
		{"*/*", cip("  images: [{glob: '*/*'}]\n  authorities: [{static: {action: pass}}]"), "spec.images[0].glob", "Docker Hub only"},
		{"no tag", cip("  images: [{glob: 'a.example/b'}]\n  authorities: [{static: {action: pass}}]"), "spec.images[0].glob", "the tag is part"},
		{"docker.io", cip("  images: [{glob: 'docker.io/library/**'}]\n  authorities: [{static: {action: pass}}]"), "spec.images[0].glob", "index.docker.io"},
		{"an empty ctlog", withAuthority("{" + keyless + ", ctlog: {}}"), "spec.authorities[0].ctlog", "no transparency log is asked"},
		{"no SCT", withAuthority("{keyless: {insecureIgnoreSCT: true, identities: [{issuer: a, subject: b}]}}"), "spec.authorities[0].keyless.insecureIgnoreSCT", "certificate log"},
		{"another log", withAuthority("{" + keyless + ", ctlog: {url: 'https://log.example'}}"), "spec.authorities[0].ctlog.url", "no log at"},
		{"anybody", withAuthority("{keyless: {identities: [{issuer: a, subjectRegExp: '.*'}]}}"), "spec.authorities[0].keyless.identities[0].subjectRegExp", "accepts anybody"},
		{"anywhere", withAuthority("{keyless: {identities: [{issuer: a, subjectRegExp: 'example.com'}]}}"), "spec.authorities[0].keyless.identities[0].subjectRegExp", "anywhere"},
		{"cosign-compat", goodPolicy + "  policy: {type: cue, cueMode: cosign-compat, data: 'authorityMatches: _'}\n", "spec.policy.data", "not missed"},
		{"cosign-compat by annotation", strings.Replace(goodPolicy, "name: p", "name: p\n  annotations: {seaworthy.dev/cue-mode: cosign-compat}", 1) + "  policy: {type: cue, data: 'authorityMatches: _'}\n", "spec.policy.data", "not missed"},
		{"a field that is not checked", goodPolicy + "  policy: {type: cue, data: \"authorityMatches: _\\nconfigs: 1\"}\n", "spec.policy.data", "nothing that is checked"},
		{"bills of anybody", "apiVersion: seaworthy.dev/v1alpha1\nkind: Policy\nmetadata: {name: p}\nspec: {licences: {deny: [MIT]}}", "spec.licences", "whoever wrote them"},
		{"nothing in it", "# nothing", "", "no policy in it"},
	} {
		_, mistakes := Load([]File{{"test.yaml", []byte(tc.text)}}, Options{Root: publicRoot(t)})
		found := false
		for _, m := range mistakes {
			if !m.Warning {
				t.Errorf("%s: %s", tc.name, m)
			}
			found = found || m.Path == tc.path && m.Code == seaworthy.Noted && strings.Contains(m.Detail, tc.want)
		}
		if !found {
			t.Errorf("%s: no warning at %q with %q in:\n%s", tc.name, tc.path, tc.want, lines(mistakes))
		}
	}
}
