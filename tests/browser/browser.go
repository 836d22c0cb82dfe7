// Package browser drives a headless Chromium for the tests, over the pipe of its debugging
// protocol. It loads pages, reads their contents, and presses keys as a user would.
package browser

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"chunkah/tests/clients"
)

// patience limits the wait for a response. A browser starts slowly on a busy machine.
const patience = 2 * time.Minute

// Page is a page in its own browser, which has no network.
type Page struct {
	t       testing.TB
	to      io.Writer
	answers chan message
	session string
	last    int
	// Requests are the addresses requested since the page was opened.
	Requests []string
}

// message is a message of the protocol.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// Open loads a page.
func Open(t testing.TB, address string) *Page {
	t.Helper()
	clients.Need(t, "chromium")
	p := &Page{t: t, answers: make(chan message, 1000)}
	p.start()
	var target struct {
		ID string `json:"targetId"`
	}
	p.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct {
		ID string `json:"sessionId"`
	}
	p.call("Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &session)
	p.session = session.ID
	for _, domain := range []string{"Page", "Runtime", "Network"} {
		p.call(domain+".enable", nil, nil)
	}
	p.Width(1300)
	p.Go(address)
	return p
}

// start starts the browser, which is stopped at the end of the test.
func (p *Page) start() {
	p.t.Helper()
	fromTest, toBrowser, err := os.Pipe()
	p.check(err)
	fromBrowser, toTest, err := os.Pipe()
	p.check(err)
	cmd := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+p.t.TempDir(), "--remote-debugging-pipe")
	cmd.ExtraFiles = []*os.File{fromTest, toTest} // descriptors 3 and 4, as the browser's option requires
	p.check(cmd.Start())
	fromTest.Close()
	toTest.Close()
	p.to = toBrowser
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.listen(fromBrowser)
	}()
	p.t.Cleanup(func() {
		_, _ = io.WriteString(toBrowser, `{"id":999999,"method":"Browser.close"}`+"\x00") // the browser may have ended
		toBrowser.Close()
		killer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // the exit status does not matter
		killer.Stop()
		fromBrowser.Close()
		<-done
	})
}

// listen passes on the browser's messages, which end with a NUL.
func (p *Page) listen(from io.Reader) {
	defer close(p.answers)
	in := bufio.NewReader(from)
	for {
		data, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m message
		if json.Unmarshal(data[:len(data)-1], &m) == nil {
			p.answers <- m
		}
	}
}

func (p *Page) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// next returns the browser's next message.
func (p *Page) next() (message, error) {
	select {
	case m, ok := <-p.answers:
		if !ok {
			return m, errors.New("the browser has gone")
		}
		p.note(m)
		return m, nil
	case <-time.After(patience):
		return message{}, errors.New("the browser does not answer")
	}
}

// note records the addresses of requests.
func (p *Page) note(m message) {
	if m.Method != "Network.requestWillBeSent" {
		return
	}
	data, err := json.Marshal(m.Params)
	p.check(err)
	var sent struct {
		Request struct {
			URL string `json:"url"`
		} `json:"request"`
	}
	p.check(json.Unmarshal(data, &sent))
	p.Requests = append(p.Requests, sent.Request.URL)
}

// call calls a method and waits for its result.
func (p *Page) call(method string, params, result any) {
	p.t.Helper()
	p.last++
	id := p.last
	data, err := json.Marshal(message{ID: id, Session: p.session, Method: method, Params: params})
	p.check(err)
	_, err = p.to.Write(append(data, 0))
	p.check(err)
	for {
		m, err := p.next()
		if err != nil {
			p.t.Fatalf("%s: %v", method, err)
		}
		if m.ID != id {
			continue
		}
		if m.Error != nil {
			p.t.Fatalf("%s: %s", method, m.Error)
		}
		if result != nil {
			p.check(json.Unmarshal(m.Result, result))
		}
		return
	}
}

// Go loads another address, and waits until it is loaded.
func (p *Page) Go(address string) {
	p.t.Helper()
	p.Requests = nil
	p.call("Page.navigate", map[string]any{"url": address}, nil)
	p.Until(fmt.Sprintf("location.href === %q && document.readyState === 'complete'", address))
}

// Eval evaluates an expression into result.
func (p *Page) Eval(expression string, result any) {
	p.t.Helper()
	var answer struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Exception json.RawMessage `json:"exceptionDetails"`
	}
	p.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	if answer.Exception != nil {
		p.t.Fatalf("%s: %s", expression, answer.Exception)
	}
	p.check(json.Unmarshal(answer.Result.Value, result))
}

// Text evaluates an expression whose value is a string.
func (p *Page) Text(expression string) (s string) {
	p.t.Helper()
	p.Eval("String("+expression+")", &s)
	return s
}

// Until waits until an expression is true.
func (p *Page) Until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if p.Text("Boolean("+expression+")") == "true" {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("it does not come to %s", expression)
		}
	}
}

// Press presses the key with the given name.
func (p *Page) Press(key string) {
	p.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "/": 191}
	down := map[string]any{"type": "keyDown", "key": key, "windowsVirtualKeyCode": codes[key]}
	switch key {
	case "Enter":
		down["text"] = "\r"
	case "/":
		down["text"] = key
	}
	p.call("Input.dispatchKeyEvent", down, nil)
	p.call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "windowsVirtualKeyCode": codes[key]}, nil)
}

// Type types a string.
func (p *Page) Type(text string) {
	p.t.Helper()
	p.call("Input.insertText", map[string]any{"text": text}, nil)
}

// Width sets the width of the window, in pixels.
func (p *Page) Width(pixels int) {
	p.t.Helper()
	p.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": pixels, "height": 1100, "deviceScaleFactor": 1, "mobile": false}, nil)
}

// Prefer sets the user's colour scheme: light or dark.
func (p *Page) Prefer(scheme string) {
	p.t.Helper()
	p.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Heap returns the memory of the page's script, in bytes.
func (p *Page) Heap() int64 {
	p.t.Helper()
	var heap struct {
		Used float64 `json:"usedSize"`
	}
	p.call("Runtime.getHeapUsage", nil, &heap)
	return int64(heap.Used)
}

// Shot takes a screenshot as PNG.
func (p *Page) Shot(name string) {
	p.t.Helper()
	var shot struct {
		Data string `json:"data"`
	}
	p.call("Page.captureScreenshot", nil, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	p.check(err)
	p.check(os.WriteFile(name, data, 0o644))
}
