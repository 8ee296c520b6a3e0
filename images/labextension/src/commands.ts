/** Which of JupyterLab's commands an observer may use. Pure. */

/** Commands that change a document, run something, or write a file; new ones of these too. */
const CHANGES = /^(notebook|editmenu|runmenu|kernelmenu|console|terminal|fileeditor|inspector):/;
const FILES =
  /^(docmanager:(save|rename|delete|new|restore|duplicate)|filebrowser:(create|cut|paste|rename|delete|duplicate|upload))/;
/** Of them, what only looks. */
const READS = /:(move-cursor|select-|extend-|scroll|copy-|copy$|find|show-|hide-|collapse|expand)/;

export function mayObserve(command: string): boolean {
  return !FILES.test(command) && (!CHANGES.test(command) || READS.test(command));
}
