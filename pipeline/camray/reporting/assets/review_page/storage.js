/* Where records are kept: in the browser's storage, which survives the window; while that is full or missing, in the
 * storage of this window, which survives a reload, with a banner that offers the decisions as a file.
 */
(function (C) {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const lasting = open("localStorage"), ofWindow = open("sessionStorage");
  const unsaved = new Map(); // film id -> record's text, or null for none, that the lasting storage does not hold
  let prefix = "", notInFile = false, downloaded = "";

  function open(name) { try { return window[name]; } catch (error) { return null; } }

  function put(storage, key, text) {
    if (!storage) return false;
    try {
      if (text === null) storage.removeItem(key);
      else storage.setItem(key, text);
      return true;
    } catch (error) { return false; } // full, or taken away
  }

  function get(storage, key) { try { return storage ? storage.getItem(key) : null; } catch (error) { return null; } }

  function keep(id, text) {
    if (put(lasting, prefix + id, text)) {
      unsaved.delete(id);
      put(ofWindow, prefix + id, null);
      return true;
    }
    unsaved.set(id, text);
    put(ofWindow, prefix + id, text);
    return false;
  }

  /** Save a film's record (null: remove it). `isTime` for reading time, which is no reason to download the file again. */
  function save(id, record, isTime) {
    const isKept = keep(id, record ? JSON.stringify(record) : null);
    if (!isKept && !isTime) notInFile = true;
    if (isKept) for (const [other, text] of [...unsaved]) if (!keep(other, text)) break; // there is room again
    show();
  }

  /** The saved record of a film as text, or null. */
  function read(id) { return get(lasting, prefix + id); }

  function entries(storage) {
    const found = [];
    for (let i = 0; storage && i < storage.length; i++) {
      const key = storage.key(i);
      if (key.startsWith(prefix)) found.push([key.slice(prefix.length), storage.getItem(key)]);
    }
    return found;
  }

  /** Begin with the records of one run and reader; `restore(id, text)` is called for each, the window's own last; null: no such film. */
  function begin(keys, restore) {
    prefix = keys;
    unsaved.clear();
    for (const [id, text] of entries(lasting)) restore(id, text);
    for (const [id, text] of entries(ofWindow)) {
      const isTaken = restore(id, text);
      if (isTaken === false) put(ofWindow, prefix + id, null); // another window saved a later one
      else if (isTaken && !keep(id, text)) notInFile = true;
    }
    show();
  }

  /** The last input in the first dialog (`key` reader or blind); with a value, store it. */
  function last(key, value) {
    if (value !== undefined) put(lasting, "camray-review-" + key, value);
    return get(lasting, "camray-review-" + key) || "";
  }

  /** The decisions were saved as a file. */
  function exported(name) {
    notInFile = false;
    const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    downloaded = " Downloaded at " + time + " as " + name + ".";
    show();
  }

  /** Show the banner while anything is not saved. */
  function show() {
    const isSaved = lasting !== null && !unsaved.size;
    $("unsaved").hidden = isSaved || !prefix;
    if (isSaved) return;
    const cause = lasting ? "this browser's storage is full. The latest work on " + C.count(unsaved.size, "film") + " is only in this window." : "this browser stores no data for this page.";
    const wayOut = notInFile || !downloaded ? " Download the decisions file before you close the page." : " Download it again after further changes.";
    const text = "Not saved: " + cause + downloaded + wayOut;
    if ($("unsaved-text").textContent !== text) $("unsaved-text").textContent = text; // an alert that is set again is read out again
  }

  window.addEventListener("beforeunload", (event) => { if (notInFile && (!lasting || unsaved.size)) event.preventDefault(); });

  C.storage = { begin: begin, save: save, read: read, last: last, exported: exported, owns: (key) => Boolean(prefix) && key.startsWith(prefix), idOf: (key) => key.slice(prefix.length) };
})(window.CAMRAY = window.CAMRAY || {});
