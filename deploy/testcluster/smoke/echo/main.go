// Echo is the workload of the smoke test. It says its name on /, resolves /lookup?name=NAME and fetches /fetch?url=URL, as seen from its pod.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		name, _ := os.Hostname()
		fmt.Fprintf(w, "%s for %s\n", name, r.RemoteAddr)
	})
	http.HandleFunc("/lookup", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		answer(w, func() (string, error) {
			found, err := net.DefaultResolver.LookupHost(ctx, r.FormValue("name"))
			return strings.Join(found, " "), err
		})
	})
	http.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		answer(w, func() (string, error) {
			response, err := (&http.Client{Timeout: 5 * time.Second}).Get(r.FormValue("url"))
			if err != nil {
				return "", err
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			return string(body), err
		})
	})
	log.Print("listening on :8080")
	log.Fatal(http.ListenAndServe(":8080", nil))
}

func answer(w http.ResponseWriter, f func() (string, error)) {
	text, err := f()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprint(w, text)
}
