package dashboard_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"
)

// waitMax bounds one wait for the browser on a busy machine.
const waitMax = 90 * time.Second

// browser is a headless Chromium, driven through its debugging pipe.
type browser struct {
	t       *testing.T
	in      *os.File
	answers chan answer
	session string
	last    atomic.Int64
}

type answer struct {
	ID     int64           `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--force-color-profile=srgb", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	_, _ = theirIn.Close(), theirOut.Close()
	b := &browser{t: t, in: in, answers: make(chan answer, 1024)}
	go b.read(out)
	t.Cleanup(func() {
		b.session = ""
		b.call("Browser.close", nil, nil) // it removes its own files before it ends
		_ = in.Close()
		_ = cmd.Wait()
		cancel()
	})
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.call("Page.enable", nil, nil)
	return b
}

func (b *browser) read(out *os.File) {
	defer close(b.answers)
	scan := bufio.NewScanner(out)
	scan.Buffer(nil, 64<<20)
	scan.Split(func(data []byte, _ bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, 0); i >= 0 {
			return i + 1, data[:i], nil
		}
		return 0, nil, nil
	})
	for scan.Scan() {
		var a answer
		if json.Unmarshal(scan.Bytes(), &a) == nil && a.ID != 0 {
			b.answers <- a
		}
	}
}

// call sends one command and waits for its answer.
func (b *browser) call(method string, params map[string]any, out any) {
	b.t.Helper()
	id := b.last.Add(1)
	if params == nil {
		params = map[string]any{}
	}
	message := map[string]any{"id": id, "method": method, "params": params}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	late := time.After(waitMax)
	for {
		select {
		case a, ok := <-b.answers:
			switch {
			case !ok:
				b.t.Fatalf("%s: chromium has ended", method)
			case a.ID != id:
				continue
			case a.Error != nil:
				b.t.Fatalf("%s: %s", method, a.Error.Message)
			}
			if out != nil {
				if err := json.Unmarshal(a.Result, out); err != nil {
					b.t.Fatal(err)
				}
			}
			return
		case <-late:
			b.t.Fatalf("%s: no answer", method)
		}
	}
}

// eval runs an expression in the page and gives its value.
func (b *browser) eval(expression string) any {
	b.t.Helper()
	var out struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		ExceptionDetails *struct {
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &out)
	if out.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, out.ExceptionDetails.Exception.Description)
	}
	return out.Result.Value
}

// await waits in the page until an expression holds. Pages change only in frames.
func (b *browser) await(what, expression string) {
	b.t.Helper()
	held := b.eval(fmt.Sprintf(`new Promise((done) => {
		const late = Date.now() + %d;
		const look = () => { let ok = false; try { ok = Boolean(%s); } catch { ok = false; }
			if (ok || Date.now() > late) done(ok); else setTimeout(look, 20); };
		look();
	})`, (waitMax - 10*time.Second).Milliseconds(), expression))
	if held != true {
		b.t.Fatalf("%s: did not happen; faults: %v; the page says:\n%v", what, b.eval(`window.faults.join()`), b.eval(`document.body.innerText`))
	}
}

// look sets the window and the colour scheme.
func (b *browser) look(width, height int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}}}, nil)
}

// shoot keeps a picture where somebody asked for pictures.
func (b *browser) shoot(name string) {
	b.t.Helper()
	folder := os.Getenv("ESTATE_PICTURES")
	if folder == "" {
		return
	}
	var out struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "png"}, &out)
	png, err := base64.StdEncoding.DecodeString(out.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(folder+"/"+name+".png", png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}
