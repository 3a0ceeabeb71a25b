package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
)

// Reads the value of a record on each line of standard input, and writes it again.
func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<30)
	for lines.Scan() {
		event, err := UnmarshalEvent(lines.Bytes())
		if err != nil {
			log.Fatalf("%v: %s", err, lines.Bytes())
		}
		again, err := event.Marshal()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(again))
	}
}
