package packages

import "testing"

const rackSpec = `# -*- encoding: utf-8 -*-
# stub: rack 2.2.4 ruby lib

Gem::Specification.new do |s|
  s.name = "rack".freeze
  s.version = "2.2.4"
  s.metadata = { "homepage_uri" => "https://h", "source_code_uri" => "https://github.com/rack/rack" } if s.respond_to? :metadata=
  s.authors = ["Le\u00F3n".freeze, "B \"b\"".freeze]
  s.homepage = "https://rack".freeze
  s.licenses = ["MIT".freeze, "Ruby".freeze]
  s.summary = "A modular Ruby webserver interface.".freeze
  if s.respond_to? :add_runtime_dependency then
    s.add_runtime_dependency(%q<mini>.freeze, ["~> 1.0", ">= 1.0.2"])
    s.add_development_dependency(%q<rake>.freeze, [">= 0"])
  else
    s.add_dependency(%q<mini>.freeze, ["~> 1.0"])
  end
end
`

var gemTree = map[string]string{
	"usr/share/rubygems-integration/all/specifications/rack-2.2.4.gemspec": rackSpec,
	"var/lib/gems/3.1.0/specifications/default/mini-1.0.5-java.gemspec":    "# stub: mini 1.0.5 java lib\nGem::Specification.new do |s|\nend\n",
	"app/rack.gemspec": rackSpec,
	"var/lib/gems/3.1.0/specifications/bad.gemspec": "puts 1\n",
}

func TestGem(t *testing.T) {
	j := installed(gem, gemTree)
	same(t, "edges", edges(j), []string{"pkg:gem/rack@2.2.4 dependsOn pkg:gem/mini@1.0.5?platform=java"})
	p := one(t, j, "pkg:gem/rack@2.2.4")
	if len(j.Packages) != 2 || len(j.Problems) != 1 || p.Licences.Declared != "MIT OR Ruby" || p.Originator.Name != `León, B "b"` || p.Homepage != "https://rack" ||
		len(p.Depends) != 2 || p.Depends[0].Range != "~> 1.0, >= 1.0.2" || p.Depends[1].Scope != "development" || p.Property("gem:repository") != "https://github.com/rack/rack" {
		t.Errorf("%+v\nproblems %+v", p, j.Problems)
	}
}

func FuzzGem(f *testing.F) {
	fuzzRead(f, gem, []string{"specifications/x.gemspec"}, rackSpec, `s.name = "\u00`)
}
