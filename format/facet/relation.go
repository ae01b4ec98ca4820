package facet

import "github.com/seaworthy-dev/seaworthy"

// verb is how a bill says what an SPDX 2.3 relationship type says.
type verb struct {
	typ     seaworthy.RelationType
	scope   seaworthy.Scope
	inverse bool // From and To change places
}

// verbs is the list of SPDX 2.3 relationship types (clause 11.1) that a bill has its own word for.
var verbs = map[seaworthy.RelationType]verb{
	"DESCRIBES":              {seaworthy.Describes, "", false},
	"DESCRIBED_BY":           {seaworthy.Describes, "", true},
	"CONTAINS":               {seaworthy.Contains, "", false},
	"CONTAINED_BY":           {seaworthy.Contains, "", true},
	"DEPENDS_ON":             {seaworthy.DependsOn, "", false},
	"DEPENDENCY_OF":          {seaworthy.DependsOn, "", true},
	"RUNTIME_DEPENDENCY_OF":  {seaworthy.DependsOn, seaworthy.Runtime, true},
	"DEV_DEPENDENCY_OF":      {seaworthy.DependsOn, seaworthy.Development, true},
	"BUILD_DEPENDENCY_OF":    {seaworthy.DependsOn, seaworthy.Build, true},
	"TEST_DEPENDENCY_OF":     {seaworthy.DependsOn, seaworthy.Test, true},
	"OPTIONAL_DEPENDENCY_OF": {seaworthy.DependsOn, seaworthy.Optional, true},
	"PROVIDED_DEPENDENCY_OF": {seaworthy.DependsOn, seaworthy.Provided, true},
	"GENERATED_FROM":         {seaworthy.GeneratedFrom, "", false},
	"GENERATES":              {seaworthy.GeneratedFrom, "", true},
	"DESCENDANT_OF":          {seaworthy.DescendantOf, "", false},
	"ANCESTOR_OF":            {seaworthy.DescendantOf, "", true},
	"VARIANT_OF":             {seaworthy.VariantOf, "", false},
}

// Turn says with the bill's own words what r says with SPDX's: inverse verbs are turned round, and the kind of
// a dependency becomes its Scope. Other relations are returned as they are.
func Turn(r seaworthy.Relation) seaworthy.Relation {
	v, ok := verbs[r.Type]
	if !ok {
		return r
	}
	r.Type = v.typ
	if v.scope != "" {
		r.Scope = v.scope
	}
	if v.inverse {
		r.From, r.To = r.To, r.From
	}
	return r
}

// Verb returns the SPDX 2.3 relationship type for r and whether From and To change places in it. ok is false
// when SPDX has none.
func Verb(r seaworthy.Relation) (verb seaworthy.RelationType, inverse, ok bool) {
	switch r.Type {
	case seaworthy.Describes:
		return "DESCRIBES", false, r.Scope == ""
	case seaworthy.Contains:
		return "CONTAINS", false, r.Scope == ""
	case seaworthy.GeneratedFrom:
		return "GENERATED_FROM", false, r.Scope == ""
	case seaworthy.DescendantOf:
		return "DESCENDANT_OF", false, r.Scope == ""
	case seaworthy.VariantOf:
		return "VARIANT_OF", false, r.Scope == ""
	case seaworthy.DependsOn:
		switch r.Scope {
		case "":
			return "DEPENDS_ON", false, true
		case seaworthy.Runtime:
			return "RUNTIME_DEPENDENCY_OF", true, true
		case seaworthy.Development:
			return "DEV_DEPENDENCY_OF", true, true
		case seaworthy.Build:
			return "BUILD_DEPENDENCY_OF", true, true
		case seaworthy.Test:
			return "TEST_DEPENDENCY_OF", true, true
		case seaworthy.Optional:
			return "OPTIONAL_DEPENDENCY_OF", true, true
		case seaworthy.Provided:
			return "PROVIDED_DEPENDENCY_OF", true, true
		}
		return "", false, false
	}
	return r.Type, false, r.Scope == "" && others[r.Type]
}

// others is the list of the other SPDX 2.3 relationship types, which a bill keeps as they are.
var others = map[seaworthy.RelationType]bool{
	"AMENDS": true, "BUILD_TOOL_OF": true, "COPY_OF": true, "DATA_FILE_OF": true, "DEPENDENCY_MANIFEST_OF": true,
	"DEV_TOOL_OF": true, "DISTRIBUTION_ARTIFACT": true, "DOCUMENTATION_OF": true, "DYNAMIC_LINK": true,
	"EXAMPLE_OF": true, "EXPANDED_FROM_ARCHIVE": true, "FILE_ADDED": true, "FILE_DELETED": true,
	"FILE_MODIFIED": true, "HAS_PREREQUISITE": true, "METAFILE_OF": true, "OPTIONAL_COMPONENT_OF": true,
	"OTHER": true, "PACKAGE_OF": true, "PATCH_APPLIED": true, "PATCH_FOR": true, "PREREQUISITE_FOR": true,
	"REQUIREMENT_DESCRIPTION_FOR": true, "SPECIFICATION_FOR": true, "STATIC_LINK": true, "TEST_CASE_OF": true,
	"TEST_OF": true, "TEST_TOOL_OF": true,
}
