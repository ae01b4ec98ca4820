// Package policy answers "may it sail?": it holds an image's evidence (who signed it, what is attested, its bills,
// its findings, its configuration and the workload that wants it) against policies, and explains the answer rule by
// rule.
//
//	set, mistakes := policy.Load(files, policy.Options{Root: trusted})
//	verdict, err := set.Decide(ctx, image, evidence, now)
//
// Files hold any number of objects, in YAML or JSON:
//
//   - ClusterImagePolicy (policy.sigstore.dev/v1alpha1, v1beta1) and TrustRoot, as sigstore's policy-controller
//     takes them. One of its authorities must pass. Keys in a key management service, policies at a URL (without
//     Options.Remote) and TUF mirrors are refused, for nothing is fetched to verify. A key's hashAlgorithm is checked
//     and not needed: a signature is verified with every hash with which keys of its kind sign.
//   - Verifier and NamespacedVerifier (config.ratify.deislabs.io/v1alpha1, v1beta1), as Ratify takes them: the
//     package checker (parameters disAllowedLicenses, disAllowedPackages) is part of this package, others are
//     programs in Options.PluginDirs.
//   - Policy (seaworthy.dev/v1alpha1), the short form below.
//   - ConfigMap and Secret, which the others may refer to.
//
// All policies that bind an image must pass. Annotations say of sigstore's and Ratify's objects what they have no
// field for: seaworthy.dev/fail-mode (open, closed), seaworthy.dev/mode (dryrun; of Verifiers warn too),
// seaworthy.dev/cue-mode (strict, cosign-compat).
//
// # The short form
//
// Every field of spec is optional, but at least one rule must be there. All rules must pass.
//
//	apiVersion: seaworthy.dev/v1alpha1
//	kind: Policy
//	metadata: {name: production}
//	spec:
//	  description: what runs in production
//	  mode: enforce                         # or warn, dryrun
//	  failMode: closed                      # or open: passes when somebody did not answer
//	  images: ["registry.example/app/**"]   # globs over the full reference; default every image
//	  except: ["registry.example/app/debug**"]
//	  namespaces: ["prod-*"]                # default all; also excludedNamespaces
//	  namespaceSelector: {matchLabels: {tier: prod}}
//	  selector: {matchExpressions: [{key: app, operator: Exists}]}   # of the workload's labels
//	  when: image.tag != "dev"              # CEL; the policy does not bind where it does not hold
//	  trustRoot: private                    # a TrustRoot; default Options.Root
//	  requireTimestamp: true                # also requireLog, insecureIgnoreLog, insecureIgnoreSCT
//
//	  pinnedByDigest: true
//	  registries: [registry.example/app, "*.internal"]
//	  signedBy:                             # a list is any of; or {any: […], all: […]}
//	  - {identity: ci@example.com, issuer: "https://issuer.example"}    # also identityRegexp, issuerRegexp, claims
//	  - key: |
//	      -----BEGIN PUBLIC KEY-----        # or secretRef: {name, namespace, key}
//	  attestedBy:
//	  - name: scanned
//	    type: vuln                          # a short name or the URI of a predicate type
//	    by: [{identity: …, issuer: …}]      # default: those of signedBy
//	    policy: {type: cel, data: "predicate.scanner.uri.startsWith('https://')"}   # or rego, cue; cueMode
//	  builtBy: {builders: ["https://github.com/org/builder/*"], by: […]}            # SLSA v1, v0.2
//	  builtFrom: {sources: ["https://github.com/org/*"], refs: [refs/heads/main], by: […]}
//	  bills: {by: […]}                      # whose bills count below; default: any
//	  billPresent: true                     # or {formats: [spdx, cyclonedx], by: […]}
//	  noFindingAbove: medium                # or {severity: medium, fixable: true, kev: true, except: [CVE-…]}
//	  licences: {deny: [AGPL-3.0-or-later, "GPL-*"], allow: […], review: […], unknown: review}
//	  packages:
//	    deny:
//	    - {name: github.com/mitchellh/mapstructure, version: "<1.5.1", reason: CVE-…}   # or purl: pkg:golang/…
//	  rules:
//	  - {name: no root, expression: "configs.all(p, configs[p].config.User != '0')", message: runs as root}
//
// In CEL are image (reference, written, registry, repository, path, tag, digest), workload (namespace,
// namespaceLabels, and where there is one group, version, resource, kind, name, labels), object (the workload as a
// whole) and now; in rules also configs (the image's configurations by platform), findings (those that VEX leaves) and
// packages (of all bills). Severities are the constants unknown, negligible, low, medium, high, critical.
//
// noFindingAbove names the worst that may remain. Of licences, "A OR B" is a choice and is judged by the better one,
// "A AND B" by the worse, as package engine/grade judges them. A package whose version is not stated, or has no order
// with the one that is denied, counts as denied.
//
// # Programs
//
// Rego, CUE and CEL see their input and nothing else: no environment, network, files, randomness; the time is that of
// the decision. Each evaluation has a limit of time, and functions that make much of little have limits of their own.
// Regular expressions in CUE and CEL must be written out. Rego of package sigstore is Rego v0 with the rule isCompliant, as policy-controller has it.
//
// CUE checks presence: what the policy asks for must be in the attestation. policy-controller only asks that the two
// do not contradict each other, and so lets pass what leaves the field out; cueMode cosign-compat does the same.
//
// What this package never does: ask the network or the clock. It runs a program only where Options.PluginDirs says so.
package policy
