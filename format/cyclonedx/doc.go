// Package cyclonedx writes CycloneDX 1.6 and reads CycloneDX 1.2 to 1.7 (ECMA-424), in JSON and in XML:
//
//	err := cyclonedx.WriteJSON(w, bill)
//	bill, err := cyclonedx.ReadJSON(r, cyclonedx.Limits{})
//
// Equal bills give equal bytes, whatever order they list things in: components are sorted by bom-ref. What was
// written reads back as an equal bill, in the order of its Refs, but for three things: Problems are not
// written; the role "" is Library; the scope Runtime of a relation is the scope "". What was read from another
// writer and written again reads back the same, too. What a document says and a bill has no place for is
// counted in the bill's Problems; there is at most one Problem of a kind.
//
// # Where things go
//
// The first home is native. What has none, or would not come back exactly, goes into a property. Properties
// marked with a star hold the JSON form of the ground type, and win over native members they repeat.
//
//	Package.Ref                 bom-ref
//	Role                        type; Layer and Archive are "file", Install is "application", Source and Other are
//	                            "library", with seaworthy:role; so is a package that is a file
//	Name                        group and name for npm scopes and Maven groups, else name
//	Version                     version; over 1024 bytes seaworthy:version
//	PURL                        purl; one that is no URI seaworthy:purl
//	Ecosystem, Arch             the purl's; where different seaworthy:ecosystem, seaworthy:arch
//	Identifiers                 cpe (2.3 before 2.2), swid, omniborId (gitoid), swhid (swh); seaworthy:identifiers*
//	Supplier                    supplier, and its name as publisher; seaworthy:supplier*
//	Originator                  authors for a person, else manufacturer; seaworthy:originator*
//	Homepage, Download          externalReferences website and distribution; what is no URI seaworthy:homepage,
//	                            seaworthy:download
//	Licences.Declared           licenses, acknowledgement "declared": license.id for an identifier of the SPDX
//	                            list, license.name for a LicenseRef-, else expression
//	Licences.Concluded          licenses, acknowledgement "concluded", when nothing is declared; else
//	                            seaworthy:licenceConcluded, as the schema allows a second expression nowhere
//	Licences.Found              evidence.licenses; several of which one is an expression seaworthy:licencesFound*
//	Hashes                      hashes; with algorithms CycloneDX does not know also seaworthy:hashes*
//	HashOf, Source, CoveredBy   seaworthy:hashOf, seaworthy:source and seaworthy:sourceVersion, seaworthy:coveredBy
//	Depends, Files, Direct      seaworthy:depends*, seaworthy:files*, seaworthy:direct
//	Scope                       scope: Runtime is "required", Optional and Provided are "optional", Development,
//	                            Build and Test are "excluded"; seaworthy:scope tells Provided, Build, Test
//	Evidence                    evidence.occurrences: location, and layer, diffID, history, by as JSON in
//	                            additionalContext
//	File                        component of type "file" with name and hashes; Comment is description, Types are
//	                            seaworthy:fileType
//	Relation DependsOn          dependencies.dependsOn; with another scope than runtime, or a comment, also
//	                            seaworthy:relation*
//	Relation PROVIDES           dependencies.provides
//	Relation Contains           seaworthy:containedBy on what is contained, naming the bom-ref of the container;
//	                            components are never nested, which is what most readers expect
//	other relations             seaworthy:relation* on the From component: {"type","to","scope","comment"}; on
//	                            metadata, with "from", where From is no component
//	Bill.ID                     serialNumber; what is no lower-case urn:uuid gives a UUID version 5 of it in the URL
//	                            name space, and seaworthy:id
//	Created, Context            metadata.timestamp (seaworthy:created), metadata.lifecycles (seaworthy:context)
//	Tools                       metadata.tools.components, the vendor as publisher; seaworthy:tools*
//	Authors                     metadata.authors for people, metadata.manufacturer for the first other;
//	                            seaworthy:authors*
//	Roots                       metadata.component, whose supplier is metadata.supplier too; further ones are
//	                            components with seaworthy:root (their place); roots that are no packages
//	                            seaworthy:roots*
//	LicenceText                 license.text and url on the first component with that licence alone, with
//	                            seaworthy:licenceText*; else seaworthy:licenceText* on metadata
//	Notes                       annotations; seaworthy:notes* for what they cannot say
//	DataLicence, Name, Comment  metadata.licenses, seaworthy:name, seaworthy:comment
//	Properties                  properties (the bill's on metadata); a name that is one of the above gets
//	                            "seaworthy:property:" before it
//
// # What other writers say
//
// Older spellings are read: tools as a list, author, publisher, manufacture, licences without acknowledgement.
// Nested components become Contains relations, services become packages with the role Other and a property
// cyclonedx:service. A component of type "file" that says no more than a File holds is a File. A component
// without a bom-ref is named by its purl, or its name and version; where a name is taken, "#2" and so on is put
// after it. Other external references and a few members without a field are kept in properties called
// cyclonedx:…; external references are written back as such. syft's locations become Evidence. Vulnerabilities
// and compositions are counted and left out.
//
// # Characters
//
// A byte the format cannot carry is written as Escape says. Characters that steer terminals or the direction
// of text are written as escapes of the format, so they are seen in the file and are the same to a program.
//
// Nothing here follows a reference out of the document, and XML document type declarations are refused.
package cyclonedx
