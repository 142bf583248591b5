package edge_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"estate/edge"
	"estate/edge/internal/broker"
	"estate/edge/internal/decode"
	"estate/internal/rules"
	"estate/sync/record"
)

var rewriteDocs = flag.Bool("rewrite", false, "write the tables of firmware-docs that are made of the code anew")

// block is one fenced example of a document.
type block struct {
	file string
	line int
	sort string            // the word after the fence
	with map[string]string // key=value, and words alone
	text string
}

// documents gives the Markdown files of firmware-docs.
func documents(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(contractDir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".md") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) < 6 {
		t.Fatalf("%d documents, %v", len(paths), err)
	}
	return paths
}

// blocks reads the fenced examples of a document.
func blocks(t *testing.T, path string) (out []block) {
	t.Helper()
	var open *block
	for i, line := range strings.Split(string(must(os.ReadFile(path))(t)), "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case open == nil && isFence:
			sort, rest, _ := strings.Cut(fence, " ")
			open = &block{file: path, line: i + 1, sort: sort, with: map[string]string{}}
			if key, value, ok := strings.Cut(rest, "="); ok && key == "api" {
				open.with[key] = value // with a space in it
				continue
			}
			for _, word := range strings.Fields(rest) {
				key, value, _ := strings.Cut(word, "=")
				open.with[key] = value
			}
		case isFence:
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the example does not end", path, open.line)
	}
	return out
}

// TestDocs: each example in the documents is tried: messages on the running edge and by their
// schemas, rules and requests by the API, commands in a shell. One that nothing tries is a fault.
func TestDocs(t *testing.T) {
	t.Parallel()
	contract := readContract(t)
	c := startCloud(t)
	cfg := config(t.TempDir())
	cfg.MQTTTLSListen = "127.0.0.1:0"
	b := enrolledWith(t, c, cfg)
	b.signIn()
	devices := map[string]*client311{}
	b.technician(c, "tess")
	if status := b.call(http.MethodPost, "/buildings/"+c.building.String()+"/tickets", map[string]any{"title": "Tap drips", "assignee": record.DerivedID("tess")}, nil); status != http.StatusCreated {
		t.Fatalf("a ticket for the inbox: %d", status)
	}
	shell := b.shell(t, "tess@example.org")
	for _, path := range documents(t) {
		for _, one := range blocks(t, path) {
			where := fmt.Sprintf("%s:%d", filepath.Base(path), one.line)
			topic, isMessage := one.with["topic"]
			api, isRequest := one.with["api"]
			_, isRule := one.with["rule"]
			switch {
			case one.sort == "json" && isMessage:
				b.docMessage(t, where, contract, devices, topic, one)
			case one.sort == "json" && isRule:
				if _, problems := rules.Parse([]byte(one.text)); len(problems) > 0 {
					t.Errorf("%s: %v", where, problems)
				}
			case one.sort == "json" && isRequest:
				method, path, _ := strings.Cut(api, " ")
				var body any
				if err := json.Unmarshal([]byte(one.text), &body); err != nil {
					t.Errorf("%s: %v", where, err)
				}
				if status := b.call(method, strings.ReplaceAll(path, "{building}", c.building.String()), body, nil); status/100 != 2 {
					t.Errorf("%s: %s is answered with %d", where, api, status)
				}
			case one.sort == "sh":
				shell(where, one)
			default:
				t.Errorf("%s: nothing tries this example of %q", where, one.sort)
			}
		}
	}
	for name, device := range devices {
		own := "estate/v1/oak/dev/" + name + "/"
		device.publish(own+"state", []byte(sentinel), false)
		if got := device.firstError(own); !strings.Contains(got.Reason, "sentinel") {
			t.Errorf("an example of %s was refused: %+v", name, got)
		}
	}
}

// docMessage tries a message: a device's on the edge, all by their schema.
func (b *box) docMessage(t *testing.T, where string, contract contract, devices map[string]*client311, topic string, one block) {
	t.Helper()
	ch, ok := contract.of(topic)
	if !ok {
		t.Errorf("%s: no channel has the topic %s", where, topic)
		return
	}
	payload := []byte(strings.TrimSpace(one.text))
	code, refused := one.with["refused"]
	if err := contract.check(ch.message, payload); (err != nil) != refused {
		t.Errorf("%s: by the schema: %v", where, err)
	}
	level := strings.Split(topic, "/")
	if ch.name == "set" || ch.name == "error" || level[3] != "dev" {
		return // from the edge
	}
	own := strings.Join(level[:5], "/") + "/"
	name := level[4]
	if refused { // its own device: it is told one error in 10 s
		name = fmt.Sprintf("%s-%d", name, one.line)
		topic = strings.Join([]string{"estate/v1/oak/dev", name, level[5]}, "/")
		own = "estate/v1/oak/dev/" + name + "/"
	}
	device := devices[name]
	if device == nil {
		device = connect(t, b.MQTTAddr(), b.login(edge.LoginInput{Name: name}), own+"error")
	}
	device.publish(topic, payload, false)
	if !refused {
		devices[name] = device
		return // whether it was refused is asked at the end
	}
	if got := device.firstError(own); got.Code != code || got.Key != one.with["key"] {
		t.Errorf("%s: %+v", where, got)
	}
}

// shell runs the commands of documents, with the programs and addresses of this box; person is a
// technician of the building.
func (b *box) shell(t *testing.T, person string) func(where string, one block) {
	t.Helper()
	bin := os.Getenv("ESTATE_BIN")
	if bin == "" {
		bin = t.TempDir()
		build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "estate-edge"), "estate/cmd/estate-edge")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build estate-edge: %v\n%s", err, out)
		}
	}
	host, port, err := net.SplitHostPort(b.MQTTAddr())
	if err != nil {
		t.Fatal(err)
	}
	_, secure, err := net.SplitHostPort(b.MQTTTLSAddr())
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "BOX="+host, "PORT="+port, "TLS_PORT="+secure, "ESTATE_EDGE_DATA="+b.cfg.Data, "TMPDIR="+t.TempDir(), "PERSON="+person)
	return func(where string, one block) {
		t.Helper()
		run := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", one.text)
		run.Dir, run.Env = filepath.Join(contractDir, one.with["dir"]), env
		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", where, err, out)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#]+)\)`)

// TestDocsLinks: what the documents refer to is there, and each code of the error topic is told of.
func TestDocsLinks(t *testing.T) {
	t.Parallel()
	for _, path := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(string(must(os.ReadFile(path))(t)), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil && !strings.Contains(m[1], "://") {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	text := must(os.ReadFile(contractDir + "/provisioning.md"))(t)
	for _, code := range decode.Codes() {
		if !bytes.Contains(text, []byte("| `"+string(code)+"` |")) {
			t.Errorf("provisioning.md does not tell of the code %s", code)
		}
	}
}

// TestDocsTables: the tables that are made of the code are what the code says.
func TestDocsTables(t *testing.T) {
	t.Parallel()
	var roles strings.Builder
	roles.WriteString("| role | for | publishes | hears |\n| --- | --- | --- | --- |\n")
	for _, role := range broker.Roles() {
		g := broker.Grant{Role: role, Building: "BUILDING", Device: "NAME", Base: "BASE", MAC: "0123456789AB", Person: "PERSON"}
		rights := must(g.Rights())(t)
		topics := func(list []string) string {
			if len(list) == 0 {
				return "nothing"
			}
			return strings.ReplaceAll("`"+strings.Join(list, "`, `")+"`", "0123456789AB", "MAC")
		}
		fmt.Fprintf(&roles, "| `%s` | %s | %s | %s |\n", role, roleFor(role), topics(rights.Publish), topics(rights.Subscribe))
	}
	table(t, "provisioning.md", "roles", roles.String())
	var shipped strings.Builder
	shipped.WriteString("| rule | cause | severity | ticket | raised when | ends after |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, r := range rules.Shipped() {
		when := must(json.Marshal(r.When))(t)
		text := "`" + string(when) + "`"
		if r.Times != nil {
			text += ", at times `" + string(must(json.Marshal(r.Times))(t)) + "`"
		}
		ticket := map[bool]string{true: "yes", false: "no"}[r.Ticket]
		fmt.Fprintf(&shipped, "| %s | `%s` | %s | %s | %s | %s |\n", r.Name, r.Cause, r.Severity, ticket, text, must(r.ClearAfter.MarshalText())(t))
	}
	table(t, "rules.md", "shipped", shipped.String())
}

func roleFor(r broker.Role) string {
	switch r {
	case broker.RoleDevice:
		return "one device of our own topics"
	case broker.RoleZigbee2MQTT:
		return "a Zigbee2MQTT gateway"
	case broker.RoleESPHome:
		return "one ESPHome node"
	case broker.RoleTasmota:
		return "one Tasmota"
	case broker.RoleShelly:
		return "one Shelly"
	case broker.RoleTechnician:
		return "a technician's device"
	case broker.RoleHomeAssistant:
		return "a Home Assistant beside the box"
	}
	return ""
}

// table holds the part of a document between its marks against what the code makes of it.
func table(t *testing.T, document, mark, want string) {
	t.Helper()
	path := filepath.Join(contractDir, document)
	text := string(must(os.ReadFile(path))(t))
	begin, end := "<!-- "+mark+" -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(text, begin)
	got, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no part %s", document, mark)
	}
	if *rewriteDocs {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("%s: the table of %s is not what the code says: run with -rewrite and look at the difference\n%s", document, mark, want)
	}
}
