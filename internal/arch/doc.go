// Package arch holds the tests that keep the shape of the code what ARCHITECTURE.md says it is. It has nothing to
// import.
//
//   - Floors: imports point down, and reach outside only where the ```floors table grants it. The document is the
//     rule; there is no second copy.
//   - Words: every package says what it is for and every exported name what it does; no folder is a drawer for
//     what belongs nowhere.
//   - Form: gofmt.
package arch
