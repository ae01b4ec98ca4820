// Package admit stands at the door of a cluster: it finds every image in an object, resolves each to a digest once,
// asks engine/policy whether that digest may sail, on evidence that it fetches from where the image is, and remembers
// the answers.
//
//	gate := admit.New(admit.Options{Registries: admit.OneClient{Client: client}})
//	gate.Use(set, trusted)                          // again whenever policies or roots change
//	answer, err := gate.Validate(ctx, &request)     // an object that somebody wants to create
//	verdict, err := gate.Judge(ctx, admit.Question{Image: "registry.example/app:1.2"})
//
// # What is remembered
//
// A verdict is remembered by everything that may change it: the image as written and its digest, the generation of the
// policies and of the trusted root, the namespace with its labels, the credentials it was fetched with and, where a
// policy looks into it, the object. A yes is given for Options.Fresh without asking again, and up to Options.Stale when
// nobody can be asked: a registry that is down blocks nothing that was verified. A no is given for Options.Negative. The
// same question is asked outside once, however many ask it at the same time.
//
// # What is answered in time
//
// A question is answered by the deadline of its context, also when a registry is slow: what is not known by then counts
// as the fail mode of each policy says, the message names what was waited for, and the asking goes on, so that the next
// try finds the answer.
package admit
