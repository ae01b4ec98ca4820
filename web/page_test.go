package web

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// sight is a browser that looks at a fake server.
type sight struct {
	t    *testing.T
	ctx  context.Context
	said chan string
	f    *fake
}

func look(t *testing.T, gate bool) *sight {
	t.Helper()
	t.Parallel() // mostly, they wait for the browser
	ctx, said := browser(t)
	return &sight{t: t, ctx: ctx, said: said, f: newFake(t, gate)}
}

// do runs steps.
func (s *sight) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	if err := chromedp.Do(s.ctx, steps...); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// open goes to an address of the page and waits until it is drawn.
func (s *sight) open(at string) {
	s.t.Helper()
	s.do("opening "+at, chromedp.Navigate(s.f.URL+at), settled())
}

// see does steps and demands that a script then gives what is wanted.
func (s *sight) see(what, script, want string, steps ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	s.do(what, steps...)
	got, err := chromedp.Run(s.ctx, chromedp.Evaluate[string]("String("+script+")"))
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	if got != want {
		s.t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func run(script string, args ...any) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf("(()=>{"+script+"})()", args...))
}

// click clicks the first thing that a selector finds.
func click(selector string) chromedp.Action[chromedp.Void] {
	return run("document.querySelector(%q).click()", selector)
}

// press clicks the button or link that is called so.
func press(name string) chromedp.Action[chromedp.Void] {
	return run(`[...document.querySelectorAll("button,a,summary")].find(b=>b.textContent.trim()===%q||b.getAttribute("aria-label")===%q).click()`, name, name)
}

func key(keys string) chromedp.Action[chromedp.Void] { return chromedp.KeyEvent(keys) }

// slash presses "/". The browser is told by an event, for chromedp also sends the letter, whoever takes the key.
func slash() chromedp.Action[chromedp.Void] {
	return run(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown",{key:"/",bubbles:true,cancelable:true}))`)
}

func all(path string) string { return strings.ReplaceAll(url.QueryEscape(path), "+", "%20") }

const (
	title  = `document.querySelector("h1").textContent`
	aside  = `document.querySelector("aside").textContent.replace(/\s+/g," ")`
	failed = `document.querySelector(".failure")?.textContent.replace(/\s+/g," ")`
)

// pages are the addresses of all pages, and what each must show.
var pages = []struct{ at, shows string }{
	{"/", "may it sail"},
	{"/?q=go-runner", "/go-runner"},
	{"/?q=xyzzy", "Nothing is called that"},
	{"/artifact?subject=" + image, "k8s.gcr.io/kube-controller-manager:v1.24.6"},
	{"/artifact?view=findings&subject=" + image, "CVE-2023-44487"},
	{"/artifact?view=evidence&subject=" + image, "Kubernetes v1.24.6"},
	{"/artifact?view=origin&subject=" + image, "1 with an attestation"},
	{"/artifact?view=licences&subject=" + image, "Apache-2.0"},
	{"/artifact?view=impact&subject=" + image, "kube-system"},
	{"/artifact?view=history&subject=" + image, "28 Nov 2026"},
	{"/artifact?view=verify&subject=" + image, "seaworthy verify k8s.gcr.io/kube-controller-manager@sha256:"},
	{"/graph", "What the most depend on"},
	{"/graph?subject=" + image, "no attestation"},
	{"/graph?as=table&subject=" + image, "hasFile"},
	{"/graph?show=path&to=CVE-2023-44487&subject=" + image, "affects"},
	{"/graph?show=impact&subject=" + image, "runs"},
	{"/graph?show=provenance&subject=" + image, "built by"},
	{"/graph?show=patch&subject=" + image, "contains"},
	{"/graph?subject=vast", "example.com/module"},
	{"/package?subject=pkg:golang/golang.org/x/net", "0.17.0"},
	{"/package?view=advisories&subject=pkg:golang/golang.org/x/net", "CVE-2022-27664"},
	{"/package?view=rebuild&subject=pkg:golang/golang.org/x/net", "2 waves"},
	{"/vuln?subject=CVE-2023-44487", "known to be exploited"},
	{"/vuln?view=fix&subject=CVE-2023-44487", "sig-release@kubernetes.io"},
	{"/vuln?view=triage&subject=CVE-2023-44487", "seaworthy scan triage"},
	{"/subject?subject=" + all(source), "1ff66136acfd"},
	{"/document?digest=" + scorecard, "Pinned-Dependencies"},
	{"/bills", "CycloneDX-1.5"},
	{"/diff?subject=a&to=b", "golang.org/x/net"},
	{"/fleet", "nothing signs it"},
	{"/policies", "package-checker"},
	{"/policies?view=decisions", "github.com/mitchellh/mapstructure v1.5.0 is denied"},
	{"/log", "seaworthy.example/log"},
	{"/log?index=3", "It is in the log"},
	{"/jobs", "401 Unauthorized"},
	{"/nowhere", "There is no such page"},
}

func TestEveryPage(t *testing.T) {
	s := look(t, true)
	for i, page := range pages {
		theme := []string{"light", "dark"}[i%2]
		s.do("the system's colours", emulate(theme), chromedp.EmulateViewport(1600, 1000))
		s.open(page.at)
		s.do(page.at+" shows "+page.shows, until(fmt.Sprintf("document.querySelector('main').textContent.includes(%q)", page.shows)))
		for _, width := range []int64{1600, 1000, 700, 360} {
			s.see(fmt.Sprintf("%s, %s, %d pixels: whether it is wider than the window", page.at, theme, width),
				`document.documentElement.scrollWidth>innerWidth`, "false", chromedp.EmulateViewport(width, 1000))
		}
		s.see(page.at+": one main heading and a title", `document.querySelectorAll("h1").length<=1&&document.title.includes("Seaworthy")`, "true")
		s.see(page.at+": names of buttons and fields", `[...document.querySelectorAll("button,input,select")].filter(e=>!(e.textContent.trim()||e.getAttribute("aria-label")||e.labels?.length)).map(e=>e.outerHTML).join()`, "")
	}
	quiet(t, s.ctx, s.said)
}

func TestPagesWhenNothingWorks(t *testing.T) {
	s := look(t, false)
	s.f.broken.Store(true)
	for _, at := range []string{"/", "/?q=go", "/artifact?subject=x", "/graph?subject=x", "/package?subject=x", "/vuln?subject=x", "/subject?subject=x", "/document?digest=x", "/bills", "/diff?subject=a&to=b", "/log", "/log?index=3", "/jobs", "/fleet", "/policies", "/policies?view=decisions"} {
		s.open(at)
		s.do(at+" tells what is wrong", until(`document.querySelector(".failure")`))
		s.see(at+" says what to try", `document.querySelector(".failure .hint").textContent.includes("look at the server’s log")`, "true")
	}
	// Trying again leads out of it.
	s.open("/jobs")
	s.f.broken.Store(false)
	s.do("trying again", press("Try again"), until(`document.querySelector("main").textContent.includes("401 Unauthorized")`))
	s.open("/artifact?subject=nothing")
	s.see("what is not there", failed, "There is no such thing here nothing is called \"nothing\" Try seaworthy graph find looks for names Try again")
	quiet(t, s.ctx, s.said, "/api/")
}

func TestPagesWhenThereIsNothing(t *testing.T) {
	s := look(t, false)
	s.f.empty.Store(true)
	for at, says := range map[string]string{
		"/": "The hold is empty", "/bills": "No bills yet", "/jobs": "Nothing is waiting", "/log": "Nothing is logged yet",
		"/artifact?subject=x": "Nobody says what is in it", "/graph?subject=x": "Nothing to draw", "/diff?subject=a&to=b": "Nothing changed",
		"/package?subject=x": "No version of it is known", "/vuln?subject=x": "Nothing here is affected", "/subject?subject=x": "Nobody says anything of it",
		"/artifact": "Which artifact?", "/package": "Which package?", "/vuln": "Which vulnerability?", "/document": "Which document?", "/graph": "Where shall it begin?",
		"/graph?show=path&subject=x": "To where?", "/diff": "Name both ends", "/artifact?view=history&subject=x": "Nothing came in about it",
	} {
		s.open(at)
		s.do(at+" says "+says, until(fmt.Sprintf(`document.querySelector("main").textContent.includes(%q)`, says)))
	}
	s.open("/")
	s.see("a server without a gate: no fleet, no policies", `[...document.querySelectorAll("nav a")].map(a=>a.textContent).join()`, "Search,Graph,Bills,Log,Jobs")
	quiet(t, s.ctx, s.said, "/api/gate/")
}

func TestSearchFromTheKeyboard(t *testing.T) {
	s := look(t, false)
	s.open("/jobs")
	s.see("/ leads to the search", `document.activeElement.id`, "search", slash())
	s.do("typing", key("go-run"), until(`document.querySelectorAll("[role=option]").length===2`))
	s.see("groups of what was found", `[...document.querySelectorAll("#found-over [role=group]")].map(g=>g.getAttribute("aria-label")).join()`, "Artifacts,Packages")
	s.see("what was typed is set off", `document.querySelector("[role=option] b").textContent`, "go-run")
	s.see("the arrow chooses", `document.querySelector("[aria-selected=true] .label").textContent`, "/go-runner", key(kb.ArrowDown))
	s.see("and says so to readers", `document.getElementById(document.activeElement.getAttribute("aria-activedescendant")).textContent.includes("/go-runner")`, "true")
	s.see("the next one", `document.querySelector("[aria-selected=true] .label").textContent`, "k8s.io/release/images/build/go-runner (devel)", key(kb.ArrowDown))
	s.see("and round", `document.querySelector("[aria-selected=true] .label").textContent`, "/go-runner", key(kb.ArrowDown))
	s.do("Enter opens it", key(kb.Enter), until(`location.pathname==="/artifact"`), settled())
	s.see("nothing lies over it", `document.querySelector(".box .over")`, "null")

	s.open("/")
	s.do("typing on the page of the search", slash(), key("CVE-2023"), until(`document.querySelectorAll("#found [role=option]").length===1`))
	s.see("the address has the question", `location.search`, "?q=CVE-2023")
	s.do("one answer: Enter opens it", key(kb.Enter), until(`location.pathname==="/vuln"`))
	s.do("back", run(`history.back()`), until(`location.search==="?q=CVE-2023"&&document.querySelectorAll("#found [role=option]").length===1`))
	s.see("the field has the question again", `document.getElementById("search").value`, "CVE-2023")
	s.do("a number is an entry of the log", run(`document.getElementById("search").focus()`), run(`document.getElementById("search").select()`), key("3"), until(`document.querySelector("#found")?.textContent.includes("Log entry 3")`))
	s.see("Escape takes it back", `document.getElementById("search").value+location.search`, "", key(kb.Escape))

	s.open("/jobs")
	s.see("the first stop leads past the head", `document.activeElement.textContent`, "Skip to the content", key(kb.Tab))
	s.see("and there", `document.activeElement.id`, "main", key(kb.Enter))
	s.see("what has the focus is seen", `getComputedStyle(document.activeElement).outlineStyle`, "solid", key(kb.Tab))
	quiet(t, s.ctx, s.said, "/api/gate/")
}

func TestArtifact(t *testing.T) {
	s := look(t, false)
	s.open("/artifact?subject=" + image)
	s.see("five tiles", `[...document.querySelectorAll(".tiles button")].map(b=>b.className.split(" ")[0]).join()`, "missing,good,warn,bad,missing")
	s.see("what is missing", `[...document.querySelectorAll("ul[aria-label='what is missing'] button")].map(b=>b.textContent.replace(/\s+/g," ").trim()).join("|")`, "k8s.gcr.io/kube-controller-manager:v1.24.6 has no signature.nobody who could be verified signed it|/go-runner has no attestation.nothing says how it was built")
	s.see("layers, and what wrote them", `[...document.querySelectorAll("ol .what")].map(e=>e.textContent).join("|")`, "FROM gcr.io/distroless/static-debian11|COPY /go-runner /go-runner|COPY kube-controller-manager /usr/local/bin/kube-controller-manager")
	s.see("a layer's packages only", `document.querySelectorAll("tbody tr").length`, "1", click("ol li:nth-child(2) button"))
	s.see("all again", `document.querySelectorAll("tbody tr").length`, "33", click("ol li:nth-child(2) button"))
	s.see("evidence on the right", aside+`.includes("rests on 3 documents, 1 of them signed")`, "true")
	s.see("a tile leads to its evidence", `document.querySelector("aside .list").textContent.includes("krel-trust@k8s-releng-prod")`, "true", click(".tiles li:nth-child(2) button"))
	s.do("and that to the document", click("aside .list button"), until(aside+`.includes("slsa.dev/provenance/v0.2")`))
	s.do("its bytes", press("Show the raw document"), until(`document.querySelector("aside pre")?.textContent.includes("spdxVersion")`))
	s.see("and back", `document.querySelector("aside h2").textContent`, "How it was built", press("back"))
	s.see("tabs from the keyboard", `location.search.includes("view=findings")&&document.activeElement.textContent`, "Findings", run(`document.querySelector("[role=tab]").focus()`), key(kb.ArrowRight), settled())
	s.see("findings, the worst first", `document.querySelector("tbody td").textContent.trim()`, "CVE-2023-44487")
	s.see("a row leads to its evidence", aside+`.includes("Through")`, "true", click("tbody tr"))
	quiet(t, s.ctx, s.said, "/api/gate/")
}

func TestGraph(t *testing.T) {
	s := look(t, false)
	const (
		boxes = `document.querySelectorAll("g.box").length`
		named = `document.activeElement.getAttribute("aria-label")`
	)
	s.open("/graph?subject=" + image)
	s.see("what is around it", boxes, "13")
	s.see("what is missing has its empty place", `[...document.querySelectorAll(".box.gap .title")].map(e=>e.textContent).join()`, "no attestation,no signature")
	s.see("dashed", `getComputedStyle(document.querySelector(".box.gap .card")).strokeDasharray`, "5px, 4px")
	s.see("signed lines are whole, others dashed", `[...document.querySelectorAll("g.line")].filter(l=>l.querySelector("text")?.textContent==="built from").map(l=>getComputedStyle(l.querySelector("path")).strokeDasharray)+"|"+[...document.querySelectorAll("g.line")].filter(l=>l.querySelector("text")?.textContent==="rated").map(l=>getComputedStyle(l.querySelector("path")).strokeDasharray)`, "none|5px, 4px")
	s.see("from left to right", `(x=>x("img")<x("bin")&&x("bin")<x("src")&&x("src")<x("card"))(w=>document.querySelector({img:".subject",bin:"[aria-label^='binary /usr']",src:".box.source",card:"[aria-label^='document scorecard']"}[w]).getBoundingClientRect().x)`, "true")
	s.do("a scorecard opens as bars", run(`document.querySelector("[aria-label^='document scorecard']").dispatchEvent(new MouseEvent("click",{bubbles:true}))`), until(`document.querySelectorAll("aside .bar").length===9`))
	s.see("and is part of the address", `location.search.includes("pick=")`, "true")
	s.see("the rest steps back", `document.querySelectorAll(".box.dim").length`, "11")
	s.do("a group opens", run(`document.querySelector("[aria-label^='+ 1221 files']").dispatchEvent(new MouseEvent("click",{bubbles:true}))`), until(boxes+`===63`))
	s.do("and going back closes it", run(`history.back()`), until(boxes+`===13`))
	s.see("a statement, and who makes it", aside+`.includes("built from")&&`+aside+`.includes("krel-trust@k8s-releng-prod")`, "true", run(`[...document.querySelectorAll(".line .label")].find(l=>l.textContent.trim()==="built from").dispatchEvent(new MouseEvent("click",{bubbles:true}))`))
	s.see("an empty place", aside+`.includes("/go-runner has no attestation")`, "true", run(`document.querySelector(".box.gap").dispatchEvent(new MouseEvent("click",{bubbles:true}))`))

	s.do("arrows move along it", run(`document.querySelector(".subject").focus()`), key(kb.ArrowRight), until(named+`.startsWith("+ ")`))
	s.do("and back", key(kb.ArrowLeft), until(named+`==="image k8s.gcr.io/kube-controller-manager:v1.24.6, 7 statements"`))
	s.see("Enter shows facts", `document.querySelector("aside header + .content h3").textContent`, "k8s.gcr.io/kube-controller-manager:v1.24.6", key(kb.Enter))
	s.see("plus makes it larger", `(()=>{const b=window.k;window.k=document.querySelector(".all").getAttribute("transform");return b!==window.k})()`, "true", run(`window.k=document.querySelector(".all").getAttribute("transform")`), key("+"))

	s.do("signed statements only", click(".check input"), until(`document.querySelectorAll("g.line:not(.gap)").length===3`))
	s.see("is part of the address", `location.search.includes("signed=1")`, "true")
	s.open("/graph?subject=" + image + "&pick=" + goRunner)
	s.see("a link to a thing in the picture", aside+`.includes("/go-runner")&&`+aside+`.includes("No attestation")`, "true")
	s.do("a kind is left out", click(".legend li button"), until(boxes+`===9`))

	s.do("what is saved is caught", run(`window.saved=[];HTMLAnchorElement.prototype.click=function(){window.saved.push(this.download)};const old=URL.createObjectURL;URL.createObjectURL=b=>{b.text().then(t=>window.last=t);return old(b)}`))
	s.do("SVG", press("SVG"), until(`window.last?.includes("<svg")`))
	s.see("an SVG that stands for itself", `(d=>!d.querySelector("parsererror")&&d.documentElement.querySelectorAll("text").length>8&&!window.last.includes("var(")&&!/(class|style)=/.test(window.last))(new DOMParser().parseFromString(window.last,"image/svg+xml"))`, "true")
	s.do("PNG", press("PNG"), until(`window.saved.some(n=>n.endsWith(".png"))`))
	s.do("JSON", press("JSON"), until(`window.last.includes('"neighbourhood"')`))

	s.open("/graph?subject=vast")
	s.see("never more than a person can look at", boxes+"<=302", "true")
	s.open("/graph?subject=" + image)
	s.do("another way to look", press("Blast radius"), until(`location.search.includes("show=impact")&&document.querySelector(".box.resource")`))
	s.do("a path", press("Path to…"), until(`document.getElementById("goal")`), run(`const g=document.getElementById("goal");g.value="CVE-2023-44487";g.dispatchEvent(new Event("input",{bubbles:true}))`), press("Find the path"), until(`document.querySelector(".box.vuln")`))
	s.see("the path in its order", `[...document.querySelectorAll("g.box")].sort((a,b)=>a.getBoundingClientRect().x-b.getBoundingClientRect().x).map(b=>b.getAttribute("aria-label").split(" ")[0]).join()`, "image,package,vulnerability")
	quiet(t, s.ctx, s.said, "/api/gate/")
}

func TestTable(t *testing.T) {
	s := look(t, false)
	s.open("/artifact?view=findings&subject=many")
	const (
		first = `document.querySelector("tbody tr:not(.space) td").textContent.trim()`
		last  = `[...document.querySelectorAll("tbody tr:not(.space) td:first-child")].at(-1).textContent.trim()`
		shown = `document.querySelector(".count").textContent.trim()`
	)
	s.see("5000 rows, few of them drawn", `document.querySelectorAll("tbody tr").length<80`, "true")
	s.see("how many", shown, "5,000 findings")
	s.do("the end", run(`const e=document.querySelector(".scroll");e.scrollTop=e.scrollHeight`), until(last+`==="row 04999, cell 0"`))
	s.do("sorted, the other way round", run(`document.querySelector(".scroll").scrollTop=0`), press("Vulnerability"), press("Vulnerability↑"), until(first+`==="row 04999, cell 0"`))
	s.see("which column", `document.querySelector("th[aria-sort=descending]").textContent.trim()`, "Vulnerability↓")
	s.do("as it was", press("Vulnerability↓"), until(first+`==="row 00000, cell 0"`))
	s.do("from the keyboard", run(`document.querySelector("tbody tr:not(.space)").focus()`), key(kb.End), until(`document.activeElement.textContent.includes("row 04999")`))
	s.do("words", run(`const f=document.querySelector("input.words");f.value="0499 CELL";f.dispatchEvent(new Event("input",{bubbles:true}))`), until(shown+`==="11 of 5,000 findings"`))
	s.do("a column's own", press("Columns"), run(`const f=document.querySelector("thead .filters input");f.value="04991";f.dispatchEvent(new Event("input",{bubbles:true}))`), until(shown+`==="1 of 5,000 findings"`))
	s.do("CSV of what is shown", run(`HTMLAnchorElement.prototype.click=function(){};const old=URL.createObjectURL;URL.createObjectURL=b=>{b.text().then(t=>window.last=t);return old(b)}`), press("CSV"), until(`window.last`))
	s.see("its lines", `window.last.split("\r\n").length+" "+window.last.split("\r\n")[1].split(",")[0]`, `3 "row 04991`)
	s.do("JSON of it", run(`window.last=""`), press("JSON"), until(`window.last&&JSON.parse(window.last)[0].Severity==="row 04991, cell 1"`))
	quiet(t, s.ctx, s.said, "/api/gate/")
}

func TestColours(t *testing.T) {
	s := look(t, false)
	ground := func(colour string) chromedp.Action[chromedp.Void] {
		return until(`getComputedStyle(document.documentElement).backgroundColor==="` + colour + `"`)
	}
	const light, dark = "rgb(243, 245, 246)", "rgb(11, 18, 24)"
	s.do("a dark system", emulate("dark"))
	s.open("/jobs")
	s.do("dark", ground(dark))
	s.do("light, because it was chosen", press("colours: as the system"), ground(light))
	s.open("/log")
	s.do("and kept", ground(light))
	s.do("dark, because it was chosen", emulate("light"), press("colours: light"), ground(dark))
	s.do("as the system again", press("colours: dark"), ground(light))
	quiet(t, s.ctx, s.said, "/api/gate/")
}

func TestBillsAndJobs(t *testing.T) {
	s := look(t, false)
	s.open("/bills")
	s.see("grades", `[...document.querySelectorAll("tbody .grade")].map(g=>g.textContent).join()`, "B,A,F")
	s.do("a bill is dropped", run(`const d=new DataTransfer();d.items.add(new File(["{}"],"a.spdx.json"));window.dispatchEvent(new DragEvent("drop",{dataTransfer:d,bubbles:true,cancelable:true}))`), until(`document.querySelector(".taken .good")`))
	if n := s.f.uploads.Load(); n != 1 {
		t.Errorf("%d uploads, want 1", n)
	}
	s.do("two are compared", settled(), click("tbody tr:nth-child(1) input"), click("tbody tr:nth-child(2) input"), press("What changed"), until(`location.pathname==="/diff"`), settled())
	s.see("what changed", `[...document.querySelectorAll(".counts li")].map(l=>l.textContent.replace(/\s+/g," ").trim()).join("|")`, "packages 1 added2 changed|licences 1 added|vulnerabilities 1 removed")
	s.open("/jobs")
	s.do("a parked job is tried again", press("Retry"), settled())
	if n := s.f.retried.Load(); n != 1 {
		t.Errorf("%d retries, want 1", n)
	}
	quiet(t, s.ctx, s.said, "/api/gate/")
}

func TestEvidenceLiesOverNarrowPages(t *testing.T) {
	s := look(t, false)
	s.do("a telephone's window", chromedp.EmulateViewport(360, 800))
	s.open("/artifact?subject=" + image)
	const seen = `getComputedStyle(document.querySelector("aside")).visibility`
	s.see("not in the way", seen, "hidden")
	s.do("a tile opens it", run(`document.querySelector(".tiles button").focus()`), key(kb.Enter), until(seen+`==="visible"`))
	s.see("with the keyboard", `document.activeElement.getAttribute("aria-label")`, "close the evidence")
	s.do("Escape closes it", key(kb.Escape), until(seen+`==="hidden"`))
	s.see("and gives the keyboard back", `document.activeElement.textContent.includes("Who signed it")`, "true")
	s.do("and so does its button", click(".opener"), until(seen+`==="visible"`), press("close the evidence"), until(seen+`==="hidden"`))
	quiet(t, s.ctx, s.said, "/api/gate/")
}

func TestTokens(t *testing.T) {
	s := look(t, false)
	s.f.secret = "s3cret"
	s.open("/bills")
	s.see("who are you", `document.querySelector(".failure h2").textContent`, "Who are you?")
	enter := func(token string) chromedp.Action[chromedp.Void] {
		return run(`const f=document.querySelector("#token");f.value=%q;f.dispatchEvent(new Event("input",{bubbles:true}));f.form.requestSubmit()`, token)
	}
	s.do("a wrong one is asked for again", enter("wrong"), settled(), until(`document.querySelector(".failure")`))
	s.do("the right one opens it", enter("s3cret"), until(`document.querySelectorAll("tbody tr").length===3`))
	s.open("/jobs")
	s.see("it is kept for as long as the tab is open", `document.querySelectorAll("tbody tr").length`, "3")
	s.see("and in no address", `location.href.includes("s3cret")+document.cookie`, "false")
	quiet(t, s.ctx, s.said, "/api/")
}
