// The types as the server tells them, and what follows from decisions: standing words, counts.

/** Name, word, letters, key and fewest chromosomes of each type. */
export const TYPES = JSON.parse(document.documentElement.dataset.types);
const BY_NAME = new Map(TYPES.map((type) => [type.name, type]));

/** The type of that name. */
export const typeOf = (name) => BY_NAME.get(name);

/** Whether the number of a type is fixed: one for a single chromosome, none for what is rejected. */
export const isFixed = (name) => name === "instance" || name === "rejected";

/** Type and number as they stand: the last decision where there is one, else the model's word. */
export function standing(object) {
  const source = object.decided ?? object.prediction;
  return { type: source.type, n: source.n_chromosomes };
}

/** The number that goes with a newly chosen type: that which stands if the type can have it. */
export function numberFor(type, object) {
  if (isFixed(type)) return typeOf(type).least;
  const numbers = [standing(object).n, object.prediction.n_chromosomes];
  return numbers.find((n) => n >= typeOf(type).least) ?? typeOf(type).least;
}

/** Whether the model wants a person to look. */
export const isDoubtful = (object) => object.prediction.decision === "review";

/** Letters, number and doubt, as they are written at the object. */
export function caption(object) {
  const { type, n } = standing(object);
  const mark = object.decided ? "✓" : isDoubtful(object) ? "?" : "";
  return typeOf(type).letters + (n > 1 ? n : "") + mark;
}

/** The counts of a picture as the service makes them, from its objects. */
export function countsOf(objects) {
  const byType = Object.fromEntries(TYPES.map((type) => [type.name, 0]));
  let n = 0;
  for (const object of objects) {
    byType[standing(object).type] += 1;
    n += standing(object).n;
  }
  const open = objects.filter((object) => isDoubtful(object) && !object.decided);
  return {
    n_objects: objects.length,
    n_decided: objects.filter((object) => object.decided).length,
    n_to_review: open.length,
    n_chromosomes: n,
    by_type: byType,
  };
}
