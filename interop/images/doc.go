// Package images holds the answers of inspect and sbom against the truth on real images: Debian root file
// systems, fifteen real apt steps, an npm application, jars and Go binaries. The images and the root file
// systems they were made of are in the directory that SEAWORTHY_IMAGES names; make test-images sees to it.
package images
